"""The headline: in a few words, how an endpoint is."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext, ngettext

from health_check.monitor.reports import Report, Row
from health_check.records import State
from health_check.views.words import clock, span

MOST_NAMES = 3
"""How many failing checks a headline names."""


def mood_of(report: Report) -> str:
    """Return ``"ok"``, ``"draining"``, ``"error"``, or ``"warning"``: to be looked at, though it does not count."""
    if any(row.counts for row in report.rows):
        return "error"
    if report.draining:
        return "draining"
    return "ok" if all(row.is_fine for row in report.rows) else "warning"


def headline_of(report: Report) -> str:
    """Return how the endpoint is, in a few words: what fails, by name, or that all checks pass."""
    failing = [row.reading.definition.title or row.reading.label for row in report.rows if row.counts]
    if failing:
        names, more = ", ".join(failing[:MOST_NAMES]), len(failing) - MOST_NAMES
        text = gettext("Failing: %(names)s and %(more)d more") if more > 0 else gettext("Failing: %(names)s")
        return text % {"names": names, "more": more}
    if report.draining:
        return gettext("Drained: this host is to get no new requests")
    if not report.rows:
        return gettext("Answering, without checks")
    told = _told([row for row in report.rows if row.reading.state is not State.OK])
    return gettext("Working, %(told)s") % {"told": told} if told else gettext("All checks pass")


def _told(rows: Sequence[Row]) -> str:
    """Return how many of some rows that do not count fail and warn."""
    warnings = sum(row.reading.state is State.WARNING for row in rows)
    others = len(rows) - warnings
    told = []
    if others:
        text = ngettext("%(number)d optional check failing", "%(number)d optional checks failing", others)
        told.append(text % {"number": others})
    if warnings:
        told.append(ngettext("%(number)d warning", "%(number)d warnings", warnings) % {"number": warnings})
    return ", ".join(told)


def since_of(report: Report, now: float) -> str:
    """Return since when what fails has been failing, in words; empty where nothing does."""
    records = [row.reading.record for row in report.rows if row.counts]
    moments = [record.last_transition for record in records if record is not None]
    if not moments:
        return ""
    began = min(moments)
    return gettext("since %(time)s (%(span)s)") % {"time": clock(began, now), "span": span(now - began)}


def counts(states: Iterable[State]) -> str:
    """Return how many there are of each state, in words, what is worst first."""
    found = collections.Counter(states)
    told = [
        (found[State.ERROR], ngettext("%(number)d error", "%(number)d errors", found[State.ERROR])),
        (found[State.UNKNOWN], gettext("%(number)d unknown")),
        (found[State.WARNING], ngettext("%(number)d warning", "%(number)d warnings", found[State.WARNING])),
        (found[State.OK], gettext("%(number)d ok")),
    ]
    return ", ".join(text % {"number": number} for number, text in told if number)
