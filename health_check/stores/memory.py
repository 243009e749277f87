"""The store of one process."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

from health_check.concurrency.clock import Clock
from health_check.concurrency.threads import new_lock
from health_check.past import DAY, DAYS, MOST_FAILURES, Addition, Change, Failure, Past, Period, compacted
from health_check.records import Record
from health_check.stores.base import Key, Lease, Publication, Query, Store, Stored

MOST_CHANGES = 400
"""How many changes of a check to keep."""

MOST_HALF_HOURS = 120
"""How many half hours of a check to have before those are dropped that are no longer shown."""


class MemoryStore(Store):
    """Keep records in this process's memory: nothing is shared, and nothing outlives the process."""

    shared = False
    draining: bool | None = False

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self._lock = new_lock()
        self._records: dict[Key, Record] = {}
        self._leases: dict[Key, tuple[Lease, float]] = {}
        self._past: collections.defaultdict[Key, _Kept] = collections.defaultdict(_Kept)

    def describe(self) -> str:
        return "the memory of each process"

    def forget(self, keys: Iterable[Key]) -> None:
        with self._lock:
            for key in keys:
                self._records.pop(key, None)
                self._past.pop(key, None)

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        with self._lock:
            return {key: self._past[key].past() for key in keys if key in self._past}

    def past_failures(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[Failure]]:
        with self._lock:
            return {key: tuple(self._past[key].failures) for key in keys if key in self._past}

    def _add(self, key: Key, additions: Sequence[Addition]) -> None:
        with self._lock:
            for addition in additions:
                self._past[key].add(addition, self._clock.now())

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        if not unless_said:
            self.draining = on

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        with self._lock:
            return [self._stored(query.key) for query in queries]

    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        with self._lock:
            return [self._took(lease, now) for lease in leases]

    def _write(self, publications: Sequence[Publication]) -> list[Record | None]:
        with self._lock:
            return [self._wrote(publication) for publication in publications]

    def _drop(self, leases: Sequence[Lease]) -> None:
        with self._lock:
            for lease in leases:
                if self._holds(lease):
                    del self._leases[lease.key]

    def _stored(self, key: Key) -> Stored:
        record, held = self._records.get(key), self._leases.get(key)
        is_held = held is not None and held[0].ends > self._clock.monotonic()
        return Stored(
            record=record,
            latest=record,
            seq=record.seq if record is not None else 0,
            held_since=held[1] if held is not None and is_held else None,
        )

    def _took(self, lease: Lease, now: float) -> bool:
        stored = self._stored(lease.key)
        if self._is_credible(stored.held_since, lease.outlasts) or stored.seq != lease.seq:
            return False
        self._leases[lease.key] = lease, now
        return True

    def _wrote(self, publication: Publication) -> Record | None:
        lease = publication.lease
        if not self._holds(lease):
            return None
        del self._leases[lease.key]
        latest = self._records.get(lease.key)
        record = self._records[lease.key] = self._following(publication, latest)
        added = self._addition(lease.key, record.result, latest)
        self._past[lease.key].add(added, self._clock.now())
        return record

    def _holds(self, lease: Lease) -> bool:
        held = self._leases.get(lease.key)
        return held is not None and held[0].token == lease.token


class _Kept:
    """What is kept of the past of one check."""

    def __init__(self) -> None:
        self._half_hours: dict[int, Period] = {}
        self._days: dict[int, Period] = {}
        self._changes: list[Change] = []
        self.failures: collections.deque[Failure] = collections.deque(maxlen=MOST_FAILURES)

    def add(self, addition: Addition, now: float) -> None:
        """Add runs; those of a new half hour drop what is too old to be shown."""
        period = addition.period
        day = period._replace(start=period.start // DAY * DAY, length=DAY)
        for kept, added in ((self._half_hours, period), (self._days, day)):
            known = kept.get(added.start)
            kept[added.start] = added if known is None else known.plus(added)
        if addition.changes:
            self._changes = compacted([*self._changes, *addition.changes])[-MOST_CHANGES:]
        self.failures.extend(addition.failures)
        if len(self._half_hours) > MOST_HALF_HOURS:
            self._half_hours = {start: kept for start, kept in self._half_hours.items() if start > now - 2 * DAY}
            self._days = {start: kept for start, kept in self._days.items() if start > now - DAYS * DAY}

    def past(self) -> Past:
        """Return what is kept except for failures."""
        return Past(
            half_hours={"": tuple(self._half_hours.values())},
            days=tuple(self._days.values()),
            changes={"": tuple(self._changes)},
        )
