"""The store of one process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping

from health_check.records import Record
from health_check.stores.base import Lease, Store


class MemoryStore(Store):
    """Keep records in this process's memory: nothing is shared, and nothing outlives the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = itertools.count(1)
        self._records: dict[str, Record] = {}
        self._leases: dict[str, Lease] = {}

    def read(self, labels: Iterable[str]) -> Mapping[str, Record]:
        with self._lock:
            return {label: self._records[label] for label in labels if label in self._records}

    def acquire(self, label: str) -> Lease | None:
        with self._lock:
            if label in self._leases:
                return None
            self._leases[label] = Lease(label=label, token=next(self._tokens))
            return self._leases[label]

    def publish(self, lease: Lease, record: Record) -> bool:
        with self._lock:
            newest = self._records.get(lease.label)
            if self._leases.get(lease.label) != lease or (newest is not None and newest.seq >= record.seq):
                return False
            self._records[lease.label] = record
            return True

    def release(self, lease: Lease) -> None:
        with self._lock:
            if self._leases.get(lease.label) == lease:
                del self._leases[lease.label]

    def forget(self, labels: Iterable[str]) -> None:
        with self._lock:
            for label in labels:
                self._records.pop(label, None)
