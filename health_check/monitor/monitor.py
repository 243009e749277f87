"""The monitor: reads checks, and runs those whose last result is no longer fresh."""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from health_check.concurrency.clock import Clock, overslept
from health_check.concurrency.futures import Future
from health_check.conf import settings
from health_check.monitor.record_cache import Flight, RecordCache, Refresh
from health_check.monitor.refresh import MOST_AT_ONCE, Refresher
from health_check.monitor.reports import Reading
from health_check.monitor.waiter import Waiter, patience_of, reading_of
from health_check.records import Record
from health_check.registry.definitions import Definition, ages_of, timeouts_of
from health_check.runner.observers import Trigger, current_trigger
from health_check.runner.runner import Runner
from health_check.stores import Store
from health_check.stores.client import ANSWER_SECONDS


class Monitor:
    """Read checks: each is run once for all who ask while its result is fresh, in this process and in others.

    What is not fresh is refreshed (``monitor/refresh.py``); readers wait for the future of a flight.

    Args:
        create_store: Makes the store of the records.
        runner: Runs the checks.
        clock: Returns the time.
        server_age: Returns for how many seconds the server of this process has been running: each check is run once
            after that start before its result is shown. Not called in a command.
    """

    def __init__(
        self,
        create_store: Callable[[], Store],
        runner: Runner,
        clock: Clock,
        server_age: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._clock = clock
        self._server_age: Callable[[], float] | None = server_age
        self._mark: object = None
        self._began = clock.monotonic()
        self._records = RecordCache()
        self._refresher = Refresher(create_store, runner, clock, self._records)
        self.store_client = self._refresher.store_client
        """Asks the store."""

    @property
    def stamp(self) -> int:
        """Another number whenever a record has changed, here or by a forced run of another process."""
        mark = self.store_client.mark()
        if mark != self._mark:
            with self._records.lock:
                if mark != self._mark:
                    self._mark = mark
                    self._records.expire(self._clock.monotonic())
        return self._records.stamp

    def read(
        self,
        definitions: Iterable[Definition],
        *,
        wait: float | None = None,
        force: bool = False,
        inline: bool | None = None,
    ) -> tuple[Reading, ...]:
        """Return the checks as they are now, after running those whose result is not fresh.

        Args:
            definitions: The checks.
            wait: For how many seconds to wait at most; the default is as long as the slowest check may take.
            force: Run every check, fresh or not.
            inline: Run in the calling thread, without deadline; default if ``MAX_CONCURRENCY`` is 0.
        """
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        timeouts = timeouts_of(definitions)
        limit = self._clock.monotonic() + patience_of(timeouts, wait)
        inline = settings.MAX_CONCURRENCY == 0 if inline is None else inline
        waiters = self._begin(definitions, timeouts, force, limit, inline=inline)
        for future, seconds in self._patience(waiters):
            future.wait(seconds)
        return self._readings(waiters)

    async def aread(
        self, definitions: Iterable[Definition], *, wait: float | None = None, force: bool = False
    ) -> tuple[Reading, ...]:
        """Return the checks as ``read`` does, without blocking the event loop."""
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        timeouts = timeouts_of(definitions)
        limit = self._clock.monotonic() + patience_of(timeouts, wait)
        waiters = self._begin(definitions, timeouts, force, limit)
        for future, seconds in self._patience(waiters):
            await future.wait_on_loop(seconds)
        return self._readings(waiters)

    def trigger(self, definitions: Iterable[Definition]) -> None:
        """See to it that checks run that are due, without waiting for them.

        They may be due a little before their results expire: the new ones are published when they do.
        """
        definitions = tuple(definitions)
        self._begin(definitions, timeouts_of(definitions), False, 0.0, early=True)

    def next_run_at(self, definition: Definition) -> float:
        """Return when to run a check so that its outcome is there as its result expires, on the monotonic clock."""
        cached = self._records.get(definition.label)
        return cached.fresh_until - cached.lead if cached is not None else float("-inf")

    def fresh(self, definitions: Sequence[Definition]) -> tuple[tuple[Reading, ...], float] | None:
        """Return the checks if all results are fresh, as they are for most readers, and until when they are.

        The latter is on the monotonic clock. Takes no lock; ``stamp`` is another one if anything changes meanwhile.
        """
        _ = self.stamp  # a forced run expires what is known
        now = self._clock.monotonic()
        until = math.inf
        readings = []
        for definition in definitions:
            cached = self._records.get(definition.label)
            if (
                cached is None
                or cached.definition is not definition
                or cached.fresh_until <= now
                or cached.record is None
                or (cached.is_alone and self.store_client.usable)
            ):
                return None
            readings.append(reading_of(cached, cached.record))
            until = min(until, cached.fresh_until)
        return tuple(readings), until

    def flush(self, seconds: float) -> None:
        """Wait until what was found is in the log and receivers of signals have been called, some seconds at most."""
        self._refresher.notifier.flush(seconds)

    def close(self) -> None:
        """End the threads."""
        self.store_client.close()
        self._refresher.notifier.close()

    def _patience(self, waiters: Sequence[Waiter]) -> Iterator[tuple[Future[Record | None], float]]:
        """Yield what to wait for, and for how many seconds; sees to the store meanwhile.

        A reader that is late itself, as it was frozen or has a busy process, gets that time back.
        """
        lost, pause = 0.0, ANSWER_SECONDS
        for waiter in waiters:
            while waiter.flight is not None and (left := waiter.seconds_left(self._clock.monotonic() - lost)) > 0:
                due = time.monotonic() + min(left, pause)
                yield waiter.flight.future, min(left, pause)
                late = overslept(due)
                lost += late
                if not waiter.flight.future.done():
                    leave = not all(each.can_show() for each in waiters)
                    pause = self._refresher.rescue(leave=leave, late=late > 0)

    def _readings(self, waiters: Sequence[Waiter]) -> tuple[Reading, ...]:
        runs = [waiter.flight.run for waiter in waiters if waiter.flight is not None and waiter.flight.run is not None]
        for observer in {id(run.round): run.round.observer for run in runs}.values():
            observer.waited()
        now = self._clock.now()
        return tuple(waiter.reading(now) for waiter in waiters)

    def _begin(
        self,
        definitions: Sequence[Definition],
        timeouts: Sequence[float],
        force: bool,
        limit: float,
        *,
        early: bool = False,
        inline: bool = False,
    ) -> list[Waiter]:
        """Return whom to wait for of each check, and begin a refresh of those that are not fresh and have none."""
        waiters: list[Waiter] = []
        refresh = Refresh(context=contextvars.copy_context(), inline=inline)
        redefined = self._records.redefined(definitions)
        ages = ages_of(definitions)
        patience = settings.WAIT
        _ = settings.DURATION_BUCKETS  # so that unusable ones are reported before anything runs
        self._refresher.rescue(leave=False)
        self._note_server_start()
        with self._records.lock:
            now = self._clock.monotonic()
            store_until = now + _store_seconds(len(definitions), limit - now)
            is_start = now < self._began + patience_of(timeouts, None)
            queue_until = limit + sum(timeouts) if current_trigger() is Trigger.COMMAND else 0.0
            forgotten = self._records.forget_some(now)
            for definition, timeout, max_age in zip(definitions, timeouts, ages, strict=True):
                cached = self._records.of(definition, redefined)
                is_fresh = cached.is_fresh(now + cached.lead if early else now)
                if is_fresh and not force and not (cached.is_alone and self.store_client.usable):
                    waiters.append(Waiter(cached=cached, fresh=cached.record))
                    continue
                if cached.flight is None:
                    cached.flight = Flight(cached, refresh, timeout=timeout, max_age=max_age, force=force)
                    cached.flight.lead = cached.lead if early else 0.0
                    refresh.flights.append(cached.flight)
                waiters.append(
                    Waiter(
                        cached=cached,
                        flight=cached.flight,
                        arrived=now,
                        store_until=min(limit, store_until),
                        patient_until=min(limit, now + patience),
                        limit=limit,
                        queue_until=queue_until,
                        max_age=max_age,
                        is_start=is_start,
                        force=force,
                    )
                )
        if forgotten:
            self._refresher.forget(forgotten)
        if refresh.flights:
            self._refresher.begin(refresh, limit)
        return waiters

    def _note_server_start(self) -> None:
        """Note once when the server of this process started, if it is one."""
        server_age = self._server_age  # other threads may be here, too
        if server_age is not None and current_trigger() is not Trigger.COMMAND:
            age = server_age()  # takes its time: the clock is read after it
            self._refresher.server_start = self._clock.monotonic() - age
            self._server_age = None


def _store_seconds(number: int, limit: float) -> float:
    """Return for how many seconds to wait for the store where last records can be shown.

    It is asked in pieces: for many checks a probe waits as long as for a run. A scrape waits as long as it may, and
    leaves out nothing that is counted then.

    Args:
        number: How many checks are asked for.
        limit: For how many seconds to wait at most.
    """
    if number <= MOST_AT_ONCE:
        return ANSWER_SECONDS
    return limit if current_trigger() is Trigger.SCRAPE else max(ANSWER_SECONDS, settings.WAIT)
