"""What is kept of a check's past: its runs by half hour and day, its incidents, and its last failures."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from health_check.durations import SAMPLE_SECONDS, Spread, joined, sample_of, spread_of_one
from health_check.records import Outcome, Result, State

HALF_HOUR = 1800
DAY = 86400

HALF_HOURS = 48
"""How many half hours are shown, the present one among them."""

DAYS = 90
"""How many days are shown, the present one among them, and for how many days incidents are kept."""

FLAPPING_SECONDS = 300.0
"""How long a check may be ok between two departures that make one incident."""

MOST_INCIDENTS = 100
"""How many incidents are shown."""

MOST_FAILURES = 20
"""How many failures of a check are kept."""

COUNTS = {
    Outcome.OK: (1, 0, 0, 0),
    Outcome.WARNING: (0, 1, 0, 0),
    Outcome.ERROR: (0, 0, 1, 0),
    Outcome.TIMEOUT: (0, 0, 0, 1),
}
"""The counts of a period with one run, by how that ended."""

MOST_CHARACTERS = 300
"""How many characters are kept of the messages of a run."""


class Period(NamedTuple):
    """The runs of a check that ended in one half hour, or one day."""

    start: int
    """When it began, Unix time in seconds, a multiple of its length: days are those of UTC."""
    length: int = HALF_HOUR
    """How many seconds it has: ``HALF_HOUR`` or ``DAY``."""
    ok: int = 0
    """How many runs ended ok."""
    warning: int = 0
    """How many ended with warnings."""
    error: int = 0
    """How many ended with errors."""
    timeout: int = 0
    """How many had not ended at their deadline."""
    time_taken: float = 0.0
    """How long all of them took together, in seconds."""
    longest: float = 0.0
    """How long the longest took, in seconds."""
    times: bytes = b""
    """How long some of them took, as ``durations.sample_of`` writes it."""

    @property
    def runs(self) -> int:
        """How many there were; 0 means that the check was not observed."""
        return self.ok + self.warning + self.error + self.timeout

    @property
    def uptime(self) -> float | None:
        """The share of runs without errors, from 0 to 1: warnings count as up; None without runs."""
        return (self.ok + self.warning) / self.runs if self.runs else None

    @property
    def state(self) -> State:
        """The worst state of all runs; unknown without runs."""
        if self.error or self.timeout:
            return State.ERROR
        if self.warning:
            return State.WARNING
        return State.OK if self.ok else State.UNKNOWN

    @property
    def spread(self) -> Spread | None:
        """How long most runs took; None without runs."""
        mean = self.time_taken / (self.runs or 1)  # where it is not known how long most took
        return spread_of_one(self.times, self.longest) or (Spread(mean, mean, mean) if self.runs else None)

    def plus(self, other: Period) -> Period:
        """Return this period with the runs of another one."""
        return Period(
            self.start,
            self.length,
            self.ok + other.ok,
            self.warning + other.warning,
            self.error + other.error,
            self.timeout + other.timeout,
            self.time_taken + other.time_taken,
            max(self.longest, other.longest),
            joined((self.times, other.times)) if other.times else self.times,
        )


def total_of(periods: Iterable[Period]) -> Period:
    """Return the runs of several periods as one, as for the uptime of a week; it starts with the first."""
    found = list(periods)
    return _sum(found[0].start, sum(period.length for period in found), found)


class Change(NamedTuple):
    """A run that ended in another state than the one before."""

    time: float
    """When it ended, Unix time in seconds."""
    state: str
    """The state."""
    host: str
    """The host that it says something about; empty for a check that is the same on all hosts."""
    message: str = ""
    """What was wrong."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that did not end ok."""

    finished: float
    """When it ended, Unix time in seconds."""
    state: State
    """The state it ended in: warning or error."""
    host: str
    """The host that ran it."""
    message: str
    """What was wrong, the messages in one line each."""
    trace_id: str | None = None
    """The id of its trace, where there is a sampled one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Incident:
    """A time in which a check was not ok, on one host or several."""

    label: str
    """The check."""
    began: float
    """When its first bad run ended, Unix time in seconds."""
    ended: float | None = None
    """When the first good run after it ended; None while it goes on."""
    hosts: tuple[str, ...] = ()
    """The hosts that were affected, in alphabetic order; empty for a check that is the same on all hosts."""
    worst: State = State.ERROR
    """The worst state in that time: warning or error."""
    message: str = ""
    """What the first bad run said."""

    def lasted(self, now: float) -> float:
        """Return for how many seconds it lasted, or has lasted so far."""
        return max(0.0, (now if self.ended is None else self.ended) - self.began)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Past:
    """What a store has kept of one check: of a place for each host that has records of its own, or of one alone.

    A place is the name of such a host, or empty where the check has but one record in this store.
    """

    half_hours: Mapping[str, Sequence[Period]] = dataclasses.field(default_factory=dict)
    """The half hours with runs, of the last day at least, by place."""
    days: Sequence[Period] = ()
    """The days with runs, of all places together, the present one among them."""
    changes: Mapping[str, Sequence[Change]] = dataclasses.field(default_factory=dict)
    """The changes of the last ``DAYS`` days, by place, in any order."""
    here: str = ""
    """The place of the record that this host has."""


@dataclasses.dataclass(kw_only=True)
class Addition:
    """What runs add to what is kept of one half hour of a check."""

    period: Period
    """How many there were, and how long they took."""
    changes: list[Change] = dataclasses.field(default_factory=list)
    """Those that changed the state."""
    failures: list[Failure] = dataclasses.field(default_factory=list)
    """Those that did not end ok, oldest first."""


def addition_of(result: Result, before: Result | None, host: str) -> Addition:
    """Return what one run adds.

    Args:
        result: Its outcome.
        before: The outcome of the run before; None if there was none.
        host: The host that it says something about.
    """
    start = int(result.finished // HALF_HOUR) * HALF_HOUR
    taken = result.time_taken
    is_sampled = before is None or before.finished // SAMPLE_SECONDS != result.finished // SAMPLE_SECONDS
    times = sample_of(taken) if is_sampled else b""
    found = Addition(period=Period(start, HALF_HOUR, *COUNTS[result.outcome], taken, taken, times))
    message = _message_of(result) if result.messages else ""
    if before is None or result.state is not before.state:
        found.changes.append(Change(result.finished, result.state.value, host, message))
    if result.state is not State.OK:
        found.failures.append(
            Failure(
                finished=result.finished,
                state=result.state,
                host=result.host,
                message=message,
                trace_id=result.exemplar.get("trace_id"),
            )
        )
    return found


def additions_of(results: Iterable[Result], host: str | None = None) -> list[Addition]:
    """Return what runs add, oldest first, a half hour each.

    Args:
        results: Their outcomes, oldest first.
        host: The host that they say something about; default the one that ran each.
    """
    by_start: dict[int, Addition] = {}
    before: Result | None = None
    for result in results:
        added = addition_of(result, before, result.host if host is None else host)
        before = result
        known = by_start.setdefault(added.period.start, added)
        if known is not added:
            known.period = known.period.plus(added.period)
            known.changes += added.changes
            known.failures += added.failures
    return list(by_start.values())


def _message_of(result: Result) -> str:
    text = "\n".join(message.text for message in result.messages)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 2]} …"


def gapless(periods: Iterable[Period], now: float, *, length: int, count: int) -> tuple[Period, ...]:
    """Return periods sorted by time, one for each until now; those of the same time are added up.

    Runs of the day to come, as where a clock was set back meanwhile, count as those of the present period.

    Args:
        periods: Those with runs, of this length or shorter.
        now: Unix time in seconds.
        length: How many seconds each has.
        count: How many to return.
    """
    first = int(now // length) - count + 1
    found = list(_empty(first, length, count))
    for period in sums(periods, length):
        position = period.start // length - first
        if 0 <= position < count:
            found[position] = found[position].plus(period)
        elif period.start <= now + DAY and position > 0:
            found[-1] = found[-1].plus(period)
    return tuple(found)


@functools.lru_cache(maxsize=8)
def _empty(first: int, length: int, count: int) -> tuple[Period, ...]:
    return tuple(Period((first + position) * length, length) for position in range(count))


def sums(periods: Iterable[Period], length: int) -> list[Period]:
    """Return periods of a length that others make, in any order; those of the same time are added up.

    Args:
        periods: Those with runs, of this length or shorter.
        length: How many seconds each has.
    """
    by_start: dict[int, list[Period]] = {}
    for period in periods:
        by_start.setdefault(period.start // length * length, []).append(period)
    return [
        some[0] if len(some) == 1 and some[0].length == length else _sum(start, length, some)
        for start, some in by_start.items()
    ]


def _sum(start: int, length: int, periods: Sequence[Period]) -> Period:
    _, _, *counts, longest, times = zip(*periods, strict=True)  # by columns: there may be thousands of periods
    ok, warning, error, timeout, taken = map(sum, counts)
    return Period(start, length, ok, warning, error, timeout, taken, max(longest), joined(times))


def compacted(changes: Iterable[Change]) -> list[Change]:
    """Return changes of one check, oldest first, without those that make no difference to its incidents.

    Args:
        changes: The changes, in any order: former ones may be added later.
    """
    found: list[Change] = []
    last: dict[str, list[Change]] = {}
    for change in sorted(changes, key=operator.attrgetter("time")):
        before = last.setdefault(change.host, [])
        is_bad = change.state != State.OK
        is_again = is_bad and len(before) > 1 and before[-1].state == State.OK
        if is_again and change.time <= before[-1].time + FLAPPING_SECONDS:
            found.remove(before.pop())
        if before and (before[-1].state == change.state or (is_bad and before[-1].state == State.ERROR)):
            continue
        found.append(change)
        before.append(change)
    return found


def incidents_of(label: str, changes: Iterable[Change]) -> list[Incident]:
    """Return the incidents that the changes of one check at one place make, oldest first.

    Args:
        label: The check.
        changes: Its changes, in any order.
    """
    found: list[Incident] = []
    is_open = False
    for change in sorted(changes, key=lambda change: change.time):
        if change.state == State.OK:
            if is_open:
                found[-1] = dataclasses.replace(found[-1], ended=change.time)
            is_open = False
            continue
        incident = Incident(
            label=label,
            began=change.time,
            hosts=(change.host,) if change.host else (),
            worst=State(change.state),
            message=change.message,
        )
        if found and (is_open or _is_flapping(found[-1], incident)):
            found[-1] = _joined(found[-1], incident)
        else:
            found.append(incident)
        is_open = True
    return found


def merged(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Return incidents, newest first, those of one check on several hosts at the same time as one."""
    found: list[Incident] = []
    last: dict[str, int] = {}
    for incident in sorted(incidents, key=lambda incident: incident.began):
        position = last.get(incident.label)
        if position is not None and _is_flapping(found[position], incident):
            found[position] = _joined(found[position], incident)
        else:
            last[incident.label] = len(found)
            found.append(incident)
    return tuple(sorted(found, key=lambda incident: incident.began, reverse=True)[:MOST_INCIDENTS])


def _is_flapping(before: Incident, incident: Incident) -> bool:
    """Return whether an incident began while another one went on, or soon after."""
    return before.ended is None or incident.began <= before.ended + FLAPPING_SECONDS


def _joined(before: Incident, incident: Incident) -> Incident:
    is_open = before.ended is None or incident.ended is None
    return dataclasses.replace(
        before,
        ended=None if is_open else max(before.ended or 0.0, incident.ended or 0.0),
        hosts=tuple(sorted({*before.hosts, *incident.hosts})),
        worst=State.ERROR if State.ERROR in (before.worst, incident.worst) else before.worst,
    )
