"""What a reader shows in the end."""

from __future__ import annotations

import contextvars
import dataclasses
from typing import Any

import pytest

from health_check.monitor.record_cache import CachedRecord, Flight, Refresh
from health_check.monitor.waiter import Waiter
from health_check.records import Record, Result, State, unavailable
from tests.support.places import ERROR, result_at
from tests.support.readings import definition

NOW = 1000.0
MAX_AGE = 10.0
GOOD = result_at(NOW - MAX_AGE)
TIMED_OUT = dataclasses.replace(result_at(NOW - MAX_AGE, ERROR), timed_out=True)


class Stuck:
    """A run that was given up, and goes on."""

    is_stuck = True

    def waiting_for(self) -> object:
        """Return what is said of it."""
        return unavailable("still running, started 42 s ago")


def waiters(result: Result, *, expired_for: float, force: bool = False) -> Waiter:
    """Return what a reader wants of a check that is stuck here, and whose record expired some seconds ago."""
    cached = CachedRecord(definition("Database"), is_private=False)
    cached.record = Record.after(None, result, max_age=MAX_AGE)
    stuck: Any = Stuck()
    cached.run = stuck
    cached.fresh_until = NOW - expired_for
    return Waiter(cached=cached, arrived=NOW, max_age=MAX_AGE, force=force)


@pytest.mark.parametrize(
    ("result", "expired_for", "force", "state"),
    [
        (GOOD, 0.1, False, State.OK),
        (GOOD, 2 * MAX_AGE + 0.1, False, State.ERROR),
        (GOOD, 0.1, True, State.ERROR),
        (TIMED_OUT, 0.1, False, State.ERROR),
    ],
)
def test_stuck_here__what_others_publish_counts(result: Result, expired_for: float, force: bool, state: State) -> None:
    """While other processes run the check and it is well with them, that it hangs here is not shown."""
    reading = waiters(result, expired_for=expired_for, force=force).reading(NOW)
    assert reading.state is state
    assert ("still running" in reading.pretty_status) is (state is State.ERROR)


@pytest.mark.parametrize("is_known", [True, False])
def test_at_store__is_behind_until_the_store_has_said_what_is_known(is_known: bool) -> None:
    """What the store was not asked about in time may lag behind what other processes have shown; else it does not."""
    cached = CachedRecord(definition("Database"), is_private=False)
    cached.record = Record.after(None, GOOD, max_age=MAX_AGE) if is_known else None
    cached.fresh_until = NOW - 0.1
    flight = Flight(cached, Refresh(context=contextvars.copy_context()), timeout=5.0, max_age=MAX_AGE, force=False)
    waiter = Waiter(cached=cached, flight=flight, arrived=NOW, max_age=MAX_AGE)
    assert waiter.reading(NOW).is_behind
    assert waiter.reading(NOW).state is (State.OK if is_known else State.UNKNOWN)
    flight.looks = 1  # another process runs it
    assert not waiter.reading(NOW).is_behind
    flight.looks = 0
    flight.future.set_result(cached.record)
    assert not waiter.reading(NOW).is_behind
    cached.is_alone = True  # found while the store was left to itself
    assert waiter.reading(NOW).is_behind
