"""The store of one process."""

from __future__ import annotations

import dataclasses

from health_check.records import Record, Result
from health_check.stores.base import Lease
from health_check.stores.memory import MemoryStore

RECORD = Record.after(None, Result(time_taken=0.1, started=1.0, finished=1.1, host="here", pid=1), max_age=10)


def lease_of(store: MemoryStore, label: str = "Database") -> Lease:
    """Return the lease of a check, which must be free."""
    lease = store.acquire(label)
    assert lease is not None
    return lease


def test_publish__makes_the_record_readable() -> None:
    """What was published under the lease is read; checks without a record are left out."""
    store = MemoryStore()
    assert store.publish(lease_of(store), RECORD)
    assert store.read(["Database", "Cache"]) == {"Database": RECORD}


def test_acquire__gives_the_lease_to_one() -> None:
    """While one holds the lease nobody else gets it; after its release somebody does."""
    store = MemoryStore()
    lease = lease_of(store)
    assert store.acquire("Database") is None
    assert store.acquire("Cache") is not None
    store.release(lease)
    assert lease_of(store).token != lease.token


def test_publish__refuses_an_outrun_lease() -> None:
    """A result that comes after its lease went to somebody else is discarded."""
    store = MemoryStore()
    late = lease_of(store)
    store.release(late)
    lease_of(store)
    assert not store.publish(late, RECORD)
    assert store.read(["Database"]) == {}


def test_publish__refuses_an_older_record() -> None:
    """Records only go forward."""
    store = MemoryStore()
    lease = lease_of(store)
    newer = dataclasses.replace(RECORD, seq=2)
    assert store.publish(lease, newer)
    assert not store.publish(lease, RECORD)
    assert not store.publish(lease, newer)
    assert store.read(["Database"]) == {"Database": newer}


def test_release__leaves_the_lease_of_others() -> None:
    """Giving back a lease that is no longer in force takes nothing from its new holder."""
    store = MemoryStore()
    late = lease_of(store)
    store.release(late)
    lease_of(store)
    store.release(late)
    assert store.acquire("Database") is None
