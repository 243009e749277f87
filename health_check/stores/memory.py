"""The store of one process."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

from health_check.concurrency.clock import Clock
from health_check.concurrency.threads import new_lock
from health_check.records import Record, Result
from health_check.stores.base import Key, Lease, Publication, Query, Store, Stored

HISTORY_ROWS = 60
"""How many results of a check to keep."""


class MemoryStore(Store):
    """Keep records in this process's memory: nothing is shared, and nothing outlives the process."""

    shared = False
    draining: bool | None = False

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self._lock = new_lock()
        self._records: dict[Key, Record] = {}
        self._leases: dict[Key, tuple[Lease, float]] = {}
        self._history: dict[Key, collections.deque[Result]] = {}

    def describe(self) -> str:
        return "the memory of each process"

    def forget(self, keys: Iterable[Key]) -> None:
        with self._lock:
            for key in keys:
                self._records.pop(key, None)
                self._history.pop(key, None)

    def history(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Result, ...]]:
        with self._lock:
            return {key: tuple(self._history[key]) for key in keys if key in self._history}

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
        if stored.held_since is not None or stored.seq != lease.seq:
            return False
        self._leases[lease.key] = lease, now
        return True

    def _wrote(self, publication: Publication) -> Record | None:
        lease = publication.lease
        if not self._holds(lease):
            return None
        del self._leases[lease.key]
        record = self._records[lease.key] = self._following(publication, self._records.get(lease.key))
        self._history.setdefault(lease.key, collections.deque(maxlen=HISTORY_ROWS)).append(record.result)
        return record

    def _holds(self, lease: Lease) -> bool:
        held = self._leases.get(lease.key)
        return held is not None and held[0].token == lease.token
