"""The past of checks as documents of a cache: one for each host, check and day, one of former days for each check."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Container, Iterable, Sequence
from typing import Any

from health_check.past import DAY, DAYS, HALF_HOUR, Addition, Change, Period, compacted, sums
from health_check.records import State
from health_check.stores import serializer

MOST_CHANGES = 300
"""How many changes to keep of a check and host in a day, and of a check in all former days: the newest."""


@dataclasses.dataclass(kw_only=True)
class Document:
    """Periods of one length of a check, and its changes in that time."""

    length: int
    """How many seconds each period has."""
    periods: dict[int, Period] = dataclasses.field(default_factory=dict)
    """The periods with runs, by start."""
    changes: list[Change] = dataclasses.field(default_factory=list)
    """The changes, oldest first."""

    @classmethod
    def load(cls, text: object, length: int) -> Document:
        """Return the document that a text is; an empty one if it is none."""
        found = cls(length=length)
        try:
            periods, changes = json.loads(text) if isinstance(text, str) else ((), "")
            found.periods = {
                period.start: period for period in (serializer.to_period(each, length) for each in periods)
            }
            found.changes = serializer.load_changes(changes)
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
            return cls(length=length)
        return found

    def dump(self) -> str:
        """Return the document as text."""
        periods = [serializer.of_period(period) for period in self.periods.values()]
        return _text([periods, serializer.dump_lines(self.changes)])

    def add(self, periods: Iterable[Period], changes: Sequence[Change]) -> None:
        """Add runs, and drop changes that say nothing new."""
        for period in periods:
            start = period.start // self.length * self.length
            known = self.periods.get(start, Period(start, self.length))
            self.periods[start] = known.plus(period)
        if changes:
            self.changes = compacted([*self.changes, *changes])[-MOST_CHANGES:]


def added(text: Any, addition: Addition) -> str:
    """Return the document of a day with more runs."""
    if not addition.changes:  # as nearly always: then all but the last half hour stays as it is
        with contextlib.suppress(IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
            periods, changes = json.loads(text)
            period = serializer.to_period(periods[-1], HALF_HOUR)
            if period.start == addition.period.start:
                periods[-1] = serializer.of_period(period.plus(addition.period))
                return _text([periods, changes])
    document = Document.load(text, HALF_HOUR)
    document.add([addition.period], addition.changes)
    return document.dump()


def days_of(former: Document, half_hours: Iterable[Period]) -> list[Period]:
    """Return the days with runs: those of a document of former days, or the sums of half hours, whichever is more."""
    found = {day.start: day for day in sums(half_hours, DAY)}
    for start, day in former.periods.items():
        if start not in found or day.runs > found[start].runs:
            found[start] = day
    return list(found.values())


def add_up(former: Document, documents: Sequence[tuple[str, Document]], silent: Container[str], *, now: float) -> None:
    """Add the last days of hosts up to the former days of a site; to do so again changes nothing.

    Args:
        former: The former days.
        documents: The documents of hosts, oldest first, with their names.
        silent: Hosts that are gone: an incident that they were in has ended.
        now: Unix time in seconds.
    """
    oldest = now // DAY * DAY - DAYS * DAY
    half_hours = [period for _, document in documents for period in document.periods.values()]
    days = days_of(former, half_hours)
    former.periods = {day.start: day for day in sorted(days) if day.start >= oldest}
    found = dict.fromkeys([*former.changes, *(change for _, document in documents for change in document.changes)])
    last = {change.host: change for change in found}
    for host, document in documents:
        if host in silent and last.get(host) and last[host].state != State.OK and document.periods:
            end = max(period.start + period.length for period in document.periods.values())
            last[host] = Change(max(end, last[host].time), State.OK.value, host)
            found[last[host]] = None
    changes = sorted((change for change in found if change.time >= oldest), key=lambda change: change.time)
    former.changes = compacted(changes)[-MOST_CHANGES:]


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
