"""What tests of stores need: a place that several stores share, as processes do, and runs to tell it of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from health_check.exceptions import ServiceUnavailable
from health_check.records import Message, Record, Result
from health_check.stores import Key, Lease, Publication, Query, Store, StoreEntry
from tests.support.bench import MovableClock

KEY = Key(label="Database")
OTHER = Key(label="Cache")
BACKEND = "tests.Database"
ERROR = Message.of(ServiceUnavailable("gone"))
MAX_AGE = 10.0


class SteppingClock(MovableClock):
    """A clock whose wall time a test sets, forward or back, while the monotonic time goes its way."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0.0

    def now(self) -> float:
        return super().now() + self.step


@dataclasses.dataclass(kw_only=True)
class Place:
    """A place for records, with a clock that a test sets forward."""

    create_store: Callable[[MovableClock], Store]
    """Make a store there."""
    clock: MovableClock = dataclasses.field(default_factory=MovableClock)
    """What its stores tell the time by, unless they have clocks of their own."""
    _made: list[Store] = dataclasses.field(default_factory=list)

    def open(self, clock: MovableClock | None = None) -> Store:
        """Return one more store at this place, as another process would have one."""
        store = self.create_store(clock or self.clock)
        self._made.append(store)
        return store

    def close(self) -> None:
        """Let all stores go."""
        for store in self._made:
            store.close()

    def run(self, *messages: Message, time_taken: float = 0.25, backend: str = BACKEND) -> Result:
        """Return the outcome of a run that has just ended."""
        return result_at(self.clock.now(), *messages, time_taken=time_taken, backend=backend)


def result_at(
    finished: float, *messages: Message, time_taken: float = 0.25, backend: str = BACKEND, pid: int = 7
) -> Result:
    """Return the outcome of a run that ended at some time."""
    return Result(
        messages=messages,
        time_taken=time_taken,
        started=finished - time_taken,
        finished=finished,
        host="here",
        pid=pid,
        backend=backend,
    )


def look(store: Store, key: Key = KEY, *, backend: str = BACKEND) -> StoreEntry:
    """Return what a store knows of a check, asking for no lease."""
    (entry,) = store.look([Query(key=key, backend=backend)])
    return entry


def ask(
    store: Store, key: Key = KEY, *, force: bool = False, backend: str = BACKEND, lease_seconds: float = 30.0
) -> StoreEntry:
    """Return what a store knows of a check, with the lease if it has to run."""
    (entry,) = store.look([Query(key=key, backend=backend, lease_seconds=lease_seconds, force=force)])
    return entry


def lease_of(store: Store, key: Key = KEY, *, force: bool = False) -> Lease:
    """Return the lease of a check, which must be to be had."""
    lease = ask(store, key, force=force).lease
    assert lease is not None
    return lease


def record_of(store: Store, key: Key = KEY) -> Record:
    """Return the record of a check, which must be there."""
    record = look(store, key).record
    assert record is not None
    return record


def publish(
    store: Store,
    result: Result,
    *,
    lease: Lease,
    after: Record | None = None,
    max_age: float = MAX_AGE,
    forced: bool = False,
) -> bool:
    """Publish the record that a run leads to after another one, and return whether the lease was in force."""
    record = Record.after(after, result, max_age=max_age)
    (accepted,) = store.publish([Publication(lease=lease, record=record, forced=forced)])
    return accepted is not None


def run(store: Store, result: Result, *, key: Key = KEY, max_age: float = MAX_AGE, forced: bool = False) -> Record:
    """Have a check run as a process does, fresh or not, and return its record then."""
    entry = ask(store, key, force=True)
    assert entry.lease is not None
    before = entry.record or entry.latest
    record = Record.after(before, result, max_age=max_age)
    if before is not None:
        record = record._replace(seq=before.seq + 1)
    (stored,) = store.publish([Publication(lease=entry.lease, record=record, forced=forced)])
    assert stored is not None
    return stored


def ended(lease: Lease) -> Lease:
    """Return a lease as it is once its end has passed by the clock of the process that has it."""
    return lease._replace(ends=0.0)


def counted(record: Record) -> int:
    """Return how many runs are counted, each in its outcome and in its bucket."""
    total = sum(record.totals.runs.values())
    assert total == sum(record.totals.durations.values())
    return total
