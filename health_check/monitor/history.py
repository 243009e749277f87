"""What the store knows beyond the last results: counts, the past of checks, and how other hosts are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from health_check.monitor.reports import Reading
from health_check.past import (
    DAY,
    DAYS,
    HALF_HOUR,
    HALF_HOURS,
    MOST_FAILURES,
    Change,
    Failure,
    Incident,
    Past,
    Period,
    gapless,
    incidents_of,
    merged,
)
from health_check.records import NO_TOTALS, UNKNOWN_TOTALS, Record, State, Totals
from health_check.stores import Key, Store
from health_check.stores.client import ANSWER_SECONDS, StoreClient

MOST_AT_ONCE = 50
"""Of how many checks to ask at once, so that refreshes do not wait for a large page."""

MOST_KEPT = 1000
"""Of how many checks to keep answers: some 10 kB each."""

KEPT_SECONDS = 5.0
"""For how long to keep one: other hosts have new results meanwhile."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSummary:
    """What is counted of checks by all processes, and how the store is."""

    totals: Mapping[str, Totals] = dataclasses.field(default_factory=dict)
    """What is counted, by label, where that is known: of no check while the store cannot be used."""
    up: bool = False
    """Whether the store could be used when it was last."""
    draining: bool = False
    """Whether this host is drained, as far as that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """What a store knows of the past of checks, and of other hosts."""

    half_hours: Mapping[str, tuple[Period, ...]] = dataclasses.field(default_factory=dict)
    """The last 48 half hours of all hosts together, by label: oldest first, without gaps, the present one last.

    A label is missing where nothing is known of its past."""
    days: Mapping[str, tuple[Period, ...]] = dataclasses.field(default_factory=dict)
    """The last 90 days likewise."""
    incidents: tuple[Incident, ...] = ()
    """The newest incidents of these checks, newest first; those of several hosts at one time are one."""
    elsewhere: Mapping[str, Mapping[str, Record]] = dataclasses.field(default_factory=dict)
    """The records of other hosts by label, by host."""
    drained: frozenset[str] = frozenset()
    """Which other hosts are drained."""


NO_HISTORY = History()


def summary_of(readings: Sequence[Reading], store_client: StoreClient) -> StoreSummary:
    """Return what is counted of checks that were just read: their records have it."""
    up = store_client.up
    records = {one.label: one.record for one in readings if up and not one.is_behind}  # others may have shown more
    totals = {label: record.totals if record else NO_TOTALS for label, record in records.items()}
    known = {label: each for label, each in totals.items() if each is not UNKNOWN_TOTALS}
    return StoreSummary(totals=known, up=up, draining=bool(store_client.draining))


class HistoryReader:
    """Ask the store for the past; nobody waits for it for long, and nothing is asked twice for the same records.

    Where the store is slow or cannot be used, what it said last is shown.

    Args:
        store_client: Asks it.
    """

    def __init__(self, store_client: StoreClient) -> None:
        self._store_client = store_client
        self._kept: dict[tuple[Key, ...], _Answer] = {}
        self._failures: dict[tuple[Key, ...], Mapping[Key, Sequence[Failure]]] = {}

    def history(self, readings: Sequence[Reading]) -> History:
        """Return what is known of the past of checks, and of other hosts; not of all where that takes long."""
        end = time.monotonic() + ANSWER_SECONDS
        found: list[History] = []
        for first in range(0, len(readings), MOST_AT_ONCE):
            part = readings[first : first + MOST_AT_ONCE]
            kept = self._kept.get(tuple(_labels(part)))
            if kept is not None and kept.stamp == _stamp(part) and time.monotonic() < kept.at + KEPT_SECONDS:
                found.append(kept.history)
            elif time.monotonic() < end:
                found.append(self._asked(part))
            elif kept is not None:
                found.append(kept.history)
        return found[0] if len(found) == 1 else _together(found)

    def failures(self, readings: Sequence[Reading]) -> Mapping[str, tuple[Failure, ...]]:
        """Return the last failures of checks on all hosts, newest first, by label; what was known last if need be."""
        labels = _labels(readings)
        keys = tuple(labels)

        def ask(store: Store) -> Mapping[Key, Sequence[Failure]]:
            if sum(map(len, self._failures)) >= MOST_KEPT:
                self._failures.clear()
            self._failures[keys] = store.past_failures(keys)
            return self._failures[keys]

        kept = self._failures.get(keys, {})
        found: dict[str, list[Failure]] = {}
        for key, some in self._store_client.call(ask, kept).items():
            found.setdefault(labels[key], []).extend(some)
        return {
            label: tuple(sorted(some, key=lambda failure: failure.finished, reverse=True)[:MOST_FAILURES])
            for label, some in found.items()
        }

    def _asked(self, readings: Sequence[Reading]) -> History:
        """Ask the store; an answer that comes too late for this reader is there for the next one."""
        labels, stamp = _labels(readings), _stamp(readings)

        def ask(store: Store) -> History:
            history = _history(store, readings, labels, self._store_client.now())
            if sum(map(len, self._kept)) >= MOST_KEPT:
                self._kept.clear()
            self._kept[tuple(labels)] = _Answer(stamp, time.monotonic(), history)
            return history

        history = self._store_client.call(ask, NO_HISTORY)
        kept = self._kept.get(tuple(labels))
        return kept.history if history is NO_HISTORY and kept is not None else history


class _Answer(NamedTuple):
    """What the store said, of which records, and when on the monotonic clock."""

    stamp: object
    at: float
    history: History


def _stamp(readings: Sequence[Reading]) -> object:
    return [reading.record.result_id if reading.record else None for reading in readings]


def _together(parts: Sequence[History]) -> History:
    elsewhere: dict[str, dict[str, Record]] = {}
    for part in parts:
        for host, records in part.elsewhere.items():
            elsewhere.setdefault(host, {}).update(records)
    return History(
        half_hours={label: periods for part in parts for label, periods in part.half_hours.items()},
        days={label: periods for part in parts for label, periods in part.days.items()},
        incidents=merged(incident for part in parts for incident in part.incidents),
        elsewhere=elsewhere,
        drained=frozenset(host for part in parts for host in part.drained),
    )


def _labels(readings: Sequence[Reading]) -> Mapping[Key, str]:
    """Return the labels of checks by the keys that they have, or had when they were called otherwise."""
    former = {
        Key(label=alias, scope=reading.definition.scope): reading.label
        for reading in readings
        for alias in reading.definition.aliases
    }
    return {**former, **{_key_of(reading): reading.label for reading in readings}}


def _key_of(reading: Reading) -> Key:
    return Key(label=reading.label, scope=reading.definition.scope)


def _history(store: Store, readings: Sequence[Reading], labels: Mapping[Key, str], now: float) -> History:
    keys = tuple(labels)
    pasts, elsewhere = store.past(keys), store.elsewhere(keys)
    half_hours: dict[str, list[Period]] = {}
    days: dict[str, list[Period]] = {}
    incidents: list[Incident] = []
    records = {_key_of(reading): reading.record for reading in readings}
    for key, past in pasts.items():
        label = labels[key]
        half_hours.setdefault(label, []).extend(period for some in past.half_hours.values() for period in some)
        days.setdefault(label, []).extend(past.days)
        current = {host: known[key] for host, known in elsewhere.items() if key in known}
        own = records.get(key)
        incidents += _incidents(label, past, {**current, past.here: own} if own is not None else current, now)
    return History(
        half_hours={
            label: gapless(some, now, length=HALF_HOUR, count=HALF_HOURS) for label, some in half_hours.items()
        },
        days={label: gapless(some, now, length=DAY, count=DAYS) for label, some in days.items()},
        incidents=merged(incident for incident in incidents if (incident.ended or now) > now - DAYS * DAY),
        elsewhere={
            host: {labels[key]: known[key] for key in keys if key in known} for host, known in elsewhere.items()
        },
        drained=store.drained_elsewhere,
    )


def _incidents(label: str, past: Past, current: Mapping[str, Record], now: float) -> list[Incident]:
    """Return the incidents of one check at each place, and have them agree with the records that are there now."""
    found: list[Incident] = []
    for place in {*past.changes, *current}:
        record = current.get(place)
        some = incidents_of(label, (change for change in past.changes.get(place, ()) if change.time <= now + 2))
        is_open = bool(some) and some[-1].ended is None
        if is_open and record is None:  # nobody has seen this host for long
            ended = max((p.start + p.length for p in past.half_hours.get(place, ())), default=some[-1].began)
            some[-1] = dataclasses.replace(some[-1], ended=min(now, max(ended, some[-1].began)))
        elif is_open and record is not None and record.result.state is State.OK:
            some[-1] = dataclasses.replace(some[-1], ended=max(some[-1].began, record.last_transition))
        elif record is not None and not is_open and record.result.state is not State.OK:
            message = record.result.messages[0].text if record.result.messages else ""
            change = Change(record.last_transition, record.result.state, place, message)
            some += incidents_of(label, [change])
        found += some
    return found
