"""The runner: runs checks on threads of its own, each under its deadline."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TypeVar

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_connections, savepoints
from health_check.concurrency.futures import Future, settle
from health_check.conf import settings
from health_check.exceptions import ServiceUnavailable
from health_check.logs import log_once
from health_check.runner.backlog import Backlog
from health_check.runner.boundary import execute
from health_check.runner.event_loop import AsyncRun, EventLoop
from health_check.runner.pool import Pool
from health_check.runner.run import NO_THREAD, Run

T = TypeVar("T")

BEAT_SECONDS = 0.5
"""How often to see whether the event loop responds while checks are on it."""

MOST_HELPERS = 1000
"""How many threads may work for async checks, or construct checks: they wait for each other, so one must never wait
for a place."""


class Runner:
    """Run checks at the same time, off the threads and event loops that serve requests.

    Nothing is started before the first run. Who starts a run keeps its deadline (``Run.expire``), and sees to the event
    loop from time to time while async checks are on it (``see_to_loop``).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = Pool(lambda: settings.MAX_CONCURRENCY)
        self._backlog = Backlog(lambda: settings.MAX_CONCURRENCY)
        self._helpers = Pool(lambda: MOST_HELPERS)
        self._lock = threads.new_lock()
        self._loop: EventLoop | None = None

    def start(self, run: Run) -> None:
        """Start a run; it always gets an outcome."""
        try:
            if run.asynchronous:
                self._start_on_loop(AsyncRun(run, self._helpers))
            else:
                self._start_on_thread(run)
        except RuntimeError as error:
            run.fail_to_start(error)
            run.end()

    def run_inline(self, run: Run) -> None:
        """Run a check in the calling thread, with its transaction, without deadline."""
        run.begin()
        try:
            with run.observer.attach(), savepoints():
                execution_result = execute(run.definition)
            run.finish(execution_result)
        finally:
            run.end()
        if isinstance(execution_result.error, KeyboardInterrupt):
            raise execution_result.error

    def settle(self, future: Future[T], function: Callable[[], T]) -> None:
        """Settle a future by calling a function, on a thread; in this one if there may be no others."""
        if settings.MAX_CONCURRENCY == 0:
            settle(future, function)
            return
        try:
            self._helpers.submit(functools.partial(_settle_and_close, future, function))
        except RuntimeError as error:
            log_once("construction", "No thread could be started to construct health checks.", error, beside=True)
            future.set_exception(ServiceUnavailable(NO_THREAD))

    def see_to_loop(self) -> None:
        """Leave an event loop that a check blocks to that check, and start what else was on it again, on a new one."""
        with self._lock:
            loop = self._loop
            if loop is None or not loop.is_blocked(BEAT_SECONDS):
                return
            self._loop = None
        for run in loop.retire():
            self.start(run)

    def close(self) -> None:
        """End the event loop, and the threads that run nothing."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()
        self._pool.close()
        self._helpers.close()

    def _start_on_thread(self, run: Run) -> None:
        label = run.definition.label

        def work() -> None:
            self._backlog.begin(label, run.timeout)
            began = time.monotonic()
            run.begin()
            try:
                with run.observer.attach():
                    execution_result = execute(run.definition)
                run.finish(execution_result)
            finally:
                self._backlog.end(label, time.monotonic() - began)
                close_connections()
                run.end()

        run.backlog = self._backlog.describe
        self._backlog.add(label, run.timeout)
        try:
            task = self._pool.submit(work)
        except RuntimeError:
            self._backlog.leave()
            raise
        run.abandon = lambda: self._pool.abandon(task)

    def _start_on_loop(self, item: AsyncRun) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = EventLoop(self._clock)
            self._loop.submit(item)


def _settle_and_close(future: Future[T], function: Callable[[], T]) -> None:
    settle(future, function)
    close_connections()
