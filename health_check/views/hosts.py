"""What the page says of hosts: how each is, what differs from here, and which are silent or drained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, ngettext

from health_check.conf import host_name
from health_check.monitor.history import History
from health_check.monitor.reports import Report
from health_check.records import Record, State
from health_check.views.headline import counts
from health_check.views.words import SIGNS, WORST_FIRST, age

MOST_DIFFERENT = 5
"""How many checks are named that are otherwise on another host."""

MOST_NAMES = 3
"""How many hosts the banner names."""

SILENT_AFTER = 3
"""A host counts as silent when nothing came from it for so many times the shortest max_age of its checks."""

LEAST_SECONDS = 10.0
"""No host is silent sooner: clocks of hosts may be some seconds apart."""

UNKNOWN_SECONDS = 60.0
"""What stands for the shortest max_age where all are 0: then checks run only when somebody asks."""


def hosts_of(report: Report, history: History, now: float, *, drained: bool = False) -> list[dict[str, Any]]:
    """Return this host and the others: how they are, as they said last, and what differs from here.

    Args:
        report: The report.
        history: What other hosts have said.
        now: Unix time in seconds.
        drained: Whether this host is drained.
    """
    if not history.elsewhere:
        return []
    here = {reading.label: reading.state for reading in report.readings}
    titles = {reading.label: reading.definition.title or reading.label for reading in report.readings}
    last = max((reading.finished or 0.0 for reading in report.readings), default=0.0)
    found = [{**_host(host_name(), here, last or None, now), "is_here": True, "is_drained": drained}]
    for name, records in sorted(history.elsewhere.items()):
        states = {label: record.result.state for label, record in records.items()}
        last = max(record.result.finished for record in records.values())
        is_silent = now > last + _silent_after(records.values())
        different = [
            _difference(titles.get(label, label), record)
            for label, record in records.items()
            if states[label] != here.get(label)
        ]
        shown = [] if is_silent else different[:MOST_DIFFERENT]
        more = 0 if is_silent else len(different) - len(shown)
        host = _host(name, states, last, now, is_silent=is_silent)
        found.append({**host, "is_drained": name in history.drained, "different": shown, "more": more})
    return found


def _silent_after(records: Iterable[Record]) -> float:
    """Return after how many seconds without a run a host with these records is silent."""
    shortest = min((record.max_age for record in records if record.max_age > 0), default=UNKNOWN_SECONDS)
    return max(LEAST_SECONDS, SILENT_AFTER * shortest)


def notes_of(hosts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the banner says of other hosts, a sentence each: which are silent, and which are drained."""
    silent = [
        gettext("%(host)s, last run %(age)s") % {"host": host["name"], "age": host["age"]}
        for host in hosts
        if host["is_silent"]
    ]
    drained = [host["name"] for host in hosts if host["is_drained"] and not host.get("is_here")]
    notes = []
    if silent:
        text = ngettext("Silent host: %(hosts)s.", "Silent hosts: %(hosts)s.", len(silent))
        notes.append(text % {"hosts": _listed(silent, "; ")})
    if drained:
        text = ngettext("Drained host: %(hosts)s.", "Drained hosts: %(hosts)s.", len(drained))
        notes.append(text % {"hosts": _listed(drained)})
    return notes


def _listed(names: Sequence[str], separator: str = ", ") -> str:
    more = len(names) - MOST_NAMES
    return separator.join([*names[:MOST_NAMES], *([gettext("%(more)d more") % {"more": more}] if more > 0 else [])])


def _host(
    name: str, states: Mapping[str, State], last: float | None, now: float, *, is_silent: bool = False
) -> dict[str, Any]:
    worst = min(states.values(), key=lambda state: WORST_FIRST[state], default=State.OK)
    return {
        "name": name,
        "state": worst,
        "sign": SIGNS[State.UNKNOWN if is_silent else worst],
        "is_silent": is_silent,
        "summary": counts(states.values()),
        "age": age(last, now),
    }


def _difference(title: str, record: Record) -> str:
    text = gettext("%(check)s: %(state)s there") % {"check": title, "state": record.result.state.value}
    messages = "; ".join(message.text for message in record.result.messages)
    return f"{text}, {messages}" if messages else text
