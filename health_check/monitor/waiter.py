"""What a reader wants: which result it waits for, for how long, and what it shows in the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from health_check.monitor.record_cache import CachedRecord, Flight
from health_check.monitor.reports import Reading
from health_check.records import Message, Record, State, unavailable
from health_check.runner.run import NO_THREAD

SHOWABLE_AGES = 3
"""How many times its max_age a result may be old and still be shown while a new one is awaited."""

PATIENCE_SECONDS = 0.9
"""How much longer than the slowest budget a reader waits: a deadline's grace, and time to publish."""


class Waiter(NamedTuple):
    """A check that a reader asked for, and what it may have to wait for."""

    cached: CachedRecord
    """What is known of the check."""
    fresh: Record | None = None
    """Its record, if that is fresh."""
    flight: Flight | None = None
    """What to wait for otherwise."""
    arrived: float = 0.0
    """When it was asked for; this and the next three on the monotonic clock."""
    store_until: float = 0.0
    """Until when to wait for the store where the last record can be shown."""
    patient_until: float = 0.0
    """Until when to wait for a run where the last record can be shown."""
    limit: float = 0.0
    """Until when to wait where it cannot."""
    queue_until: float = 0.0
    """Until when to wait for a run that got no thread before: for who asks once, and wants to know of all checks."""
    max_age: float = 0.0
    """For how many seconds a record of it is fresh."""
    is_start: bool = False
    """Whether it was asked for so soon after the process started that it may have had no thread for it yet."""
    force: bool = False
    """Whether only a new record will do."""

    def seconds_left(self, now: float) -> float:
        """Return for how many seconds to go on waiting.

        What can be shown may become known only while waiting: a process that has just started knows nothing.

        Args:
            now: The time on the monotonic clock.
        """
        if self.flight is None or self.flight.future.done():
            return 0.0
        if not self.can_show():
            return self._limit(now) - now
        return (self.store_until if self.flight.is_at_store else self.patient_until) - now

    def _limit(self, now: float) -> float:
        run = self.flight.run if self.flight is not None and now < self.queue_until else None
        if run is None:
            return self.limit
        started = now if run.started_monotonic is None else run.started_monotonic
        return max(self.limit, started + run.timeout + PATIENCE_SECONDS)

    def can_show(self) -> bool:
        """Return whether there is anything to show, without what it waits for."""
        return self.flight is None or self.flight.future.done() or self._showable() is not None

    def reading(self, now: float) -> Reading:
        """Say how the check is, with the outcome that was waited for or without.

        Args:
            now: Unix time in seconds.
        """
        flight = self.flight if self.flight is not None and not self.flight.future.done() else None
        is_unasked = self.flight is not None and self.flight.is_at_store and not self._has_landed()
        is_behind = is_unasked or self.cached.is_alone
        record = self.fresh or self._outcome() or self._still_running() or self._showable()
        if record is not None:
            reading = reading_of(self.cached, record)
            return dataclasses.replace(reading, is_behind=True) if is_behind else reading
        reading = _reading(self.cached, self.cached.record, State.UNKNOWN, (self._excuse(now),))
        is_starting = self.is_start and flight is not None and flight.is_queued(now)
        return dataclasses.replace(reading, starting=is_starting, is_behind=is_behind)

    def _has_landed(self) -> bool:
        flight = self.flight
        return flight is not None and flight.future.done() and flight.future.exception() is None

    def _outcome(self) -> Record | None:
        return self.flight.future.result() if self.flight is not None and self._has_landed() else None

    def _still_running(self) -> Record | None:
        """Return the record of a run that timed out, and what there is to say now that it goes on."""
        cached, run = self.cached, self.cached.run
        is_over = self.flight is None or self.flight.future.done()
        if run is None or cached.record is None or not cached.is_stuck or not is_over:
            return None
        if not cached.record.result.timed_out and self._showable() is not None:
            return None  # other processes run it without this problem
        return cached.record._replace(result=dataclasses.replace(cached.record.result, messages=(run.waiting_for(),)))

    def _showable(self) -> Record | None:
        """Return the last record if it may be shown while a new one is awaited."""
        young = self.cached.fresh_until + (SHOWABLE_AGES - 1) * self.max_age > self.arrived
        return self.cached.record if young and not self.force else None

    def _excuse(self, now: float) -> Message:
        if self.flight is not None and (error := self.flight.future.exception()) is not None:
            is_threadless = isinstance(error, RuntimeError) and "thread" in str(error)
            return unavailable(
                NO_THREAD if is_threadless else f"it could not be run ({type(error).__name__}): see the log"
            )
        if self.flight is not None and not self.flight.future.done():
            return self.flight.waiting_for(now)
        if self.cached.record is not None:
            return unavailable(f"no result for {max(0.0, now - self.cached.record.result.finished):.0f} s")
        return unavailable("no result yet")


def patience_of(timeouts: Iterable[float], wait: float | None) -> float:
    """Return for how many seconds a reader waits at most: as long as the slowest check may take."""
    patience = max(timeouts, default=0.0) + PATIENCE_SECONDS
    return patience if wait is None else min(wait, patience)


def reading_of(cached: CachedRecord, record: Record) -> Reading:
    """Return a reading of a record."""
    return _reading(cached, record, record.result.state, record.result.messages)


def _reading(cached: CachedRecord, record: Record | None, state: State, messages: tuple[Message, ...]) -> Reading:
    return Reading(
        definition=cached.definition,
        record=record,
        state=state,
        messages=messages,
        in_progress=not cached.is_idle,
    )
