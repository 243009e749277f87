"""The store of one process."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping, Sequence

from health_check.concurrency.clock import Clock
from health_check.concurrency.threads import new_lock
from health_check.records import Record, Result
from health_check.stores.base import Key, Lease, Publication, Query, Store, StoreEntry

HISTORY_ROWS = 60
"""How many results of a check to keep."""


class MemoryStore(Store):
    """Keep records in this process's memory: nothing is shared, and nothing outlives the process."""

    shared = False
    draining: bool | None = False

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = new_lock()
        self._tokens = itertools.count(1)
        self._records: dict[Key, tuple[Record, float]] = {}
        self._leases: dict[Key, tuple[Lease, float]] = {}
        self._history: dict[Key, collections.deque[Result]] = {}

    def describe(self) -> str:
        return "the memory of each process"

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        with self._lock:
            return [self._look(query) for query in queries]

    def publish(self, publications: Sequence[Publication]) -> list[StoreEntry]:
        with self._lock:
            return [self._publish(publication) for publication in publications]

    def release(self, leases: Iterable[Lease]) -> None:
        with self._lock:
            for lease in leases:
                if self._is_in_force(lease):
                    del self._leases[lease.key]

    def forget(self, keys: Iterable[Key]) -> None:
        with self._lock:
            for key in keys:
                self._records.pop(key, None)
                self._history.pop(key, None)

    def history(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Result, ...]]:
        with self._lock:
            return {key: tuple(self._history[key]) for key in keys if key in self._history}

    def probe(self) -> None:
        """Do nothing: memory can always be used."""

    def settle_at(self, moment: float) -> None:
        """Do nothing: nobody else knows anything."""

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        if not unless_said:
            self.draining = on

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _look(self, query: Query) -> StoreEntry:
        entry = self._entry(query.key)
        if query.lease_seconds is None or entry.suffices(query):
            return entry
        if entry.held_since is not None:
            return entry
        lease = Lease(key=query.key, token=str(next(self._tokens)))
        self._leases[query.key] = lease, self._clock.now()
        return StoreEntry(record=entry.record, fresh_for=entry.fresh_for, lease=lease)

    def _publish(self, publication: Publication) -> StoreEntry:
        key, lease = publication.key, publication.lease
        before = self._entry(key)
        if lease is not None and not self._is_in_force(lease):
            return StoreEntry(record=before.record, fresh_for=before.fresh_for, accepted=False)
        record = publication.applied_to(before.record, fresh=before.fresh_for > 0)
        if record is not None:
            is_same = before.record is not None and before.record.result == record.result
            fresh_for = before.fresh_for if is_same else record.max_age
            self._records[key] = record, self._clock.monotonic() + fresh_for
        if publication.result is not None:
            self._history.setdefault(key, collections.deque(maxlen=HISTORY_ROWS)).append(publication.result)
        if lease is not None:
            del self._leases[key]
        return self._entry(key)

    def _entry(self, key: Key) -> StoreEntry:
        held_since = self._leases[key][1] if key in self._leases else None
        if key not in self._records:
            return StoreEntry(held_since=held_since)
        record, fresh_until = self._records[key]
        return StoreEntry(record=record, fresh_for=fresh_until - self._clock.monotonic(), held_since=held_since)

    def _is_in_force(self, lease: Lease) -> bool:
        held = self._leases.get(lease.key)
        return held is not None and held[0] == lease
