"""One run of a check, from the moment it is asked for to its outcome."""

from __future__ import annotations

import dataclasses
import functools
import os
import socket
from collections.abc import Callable

from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future
from health_check.concurrency.threads import new_lock
from health_check.logs import details, log_error
from health_check.records import Message, Record, Result, unavailable
from health_check.registry.definitions import Definition
from health_check.runner.boundary import ExecutionResult, explain
from health_check.runner.observers import RoundObserver, RunObserver
from health_check.stores import Lease

GRACE_SECONDS = 0.5
"""How much longer than its budget a run may take: a client with a timeout of its own shall speak first."""

_UNOBSERVED = RoundObserver()

Decided = Callable[["Run", Result, str], None]


class Run:
    """An execution of a check: it gets its outcome once, when it ends or at its deadline.

    Args:
        definition: The check.
        outcome: To be settled by the record that the run leads to.
        decided: Publishes the result.
        ended: Hears when nothing of the run is going on any more.
        lease: The right to run it.
        clock: Tells the time.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        outcome: Future[Record | None],
        decided: Decided,
        ended: Callable[[Run], None],
        lease: Lease,
        clock: Clock,
    ) -> None:
        self.definition = definition
        self.timeout = definition.timeout
        self.outcome = outcome
        self.started: float | None = None
        self.started_monotonic: float | None = None
        self.observer = RunObserver()
        self.lease = lease
        self.is_recorded = False
        self.is_over = False
        self._decided = decided
        self._ended = ended
        self._round: Round | None = None
        self._clock = clock
        self._lock = new_lock()
        self._result: Result | None = None

    def join(self, round_: Round) -> None:
        """Be one of a round of runs."""
        self._round = round_

    @property
    def round_observer(self) -> RoundObserver:
        """What follows the round that it is one of."""
        return self._round.observer if self._round is not None else _UNOBSERVED

    @property
    def deadline_seconds(self) -> float:
        """How long after its start the run is given up."""
        return self.timeout + GRACE_SECONDS

    @property
    def is_decided(self) -> bool:
        """Whether its outcome is settled, though maybe not told yet."""
        return self._result is not None

    @property
    def timed_out(self) -> bool:
        """Whether it was given up at its deadline."""
        return self._result is not None and self._result.timed_out

    @property
    def is_stuck(self) -> bool:
        """Whether it was given up, and all know; meant for runs that have not ended."""
        return self.timed_out and self.is_recorded

    def seconds_running(self) -> float | None:
        """Return for how long it has been running; None while it waits for a thread."""
        return None if self.started_monotonic is None else self._clock.monotonic() - self.started_monotonic

    def waiting_for(self) -> Message:
        """Return what a reader that cannot wait any longer says of it."""
        running = self.seconds_running()
        if running is None:
            return unavailable("waiting for a free thread")
        return unavailable(f"still running, started {running:.0f} s ago")

    def begin(self) -> None:
        """Note that it starts now, on this thread; a second start, on another event loop, is no news."""
        if self.started is not None:
            return
        self.started = self._clock.now()
        self.started_monotonic = self._clock.monotonic()
        self.observer = self.round_observer.run(self.definition)

    def finish(self, execution_result: ExecutionResult) -> None:
        """Give it the outcome of an execution; dropped if it has one."""
        result = self._result_of(execution_result.messages, execution_result.time_taken, execution_result.error_type)
        if self._claim(result):
            self._publish(result, execution_result.details)

    def expire(self, elsewhere: Callable[[Callable[[], None]], None]) -> bool:
        """Give it up: it timed out.

        Args:
            elsewhere: Has another thread tell of it: observers, or a store, may be slow.

        Returns:
            Whether that was news.
        """
        message = unavailable(f"timed out after {self.timeout:g} s")
        result = self._result_of((message,), self.deadline_seconds, "timeout", timed_out=True)
        if not self._claim(result):
            return False
        elsewhere(lambda: self._publish(result, ""))
        return True

    def fail_to_start(self, error: BaseException) -> None:
        """Give it up: there is no thread for it, or for its deadline."""
        self.begin()
        message = unavailable("no thread could be started to run the check")
        result = self._result_of((message,), 0.0, explain(error))
        if self._claim(result):
            self._publish(result, details(error))

    def end(self) -> None:
        """Note that nothing of it is going on any more."""
        self._ended(self)

    def _result_of(
        self, messages: tuple[Message, ...], time_taken: float, error_type: str | None, *, timed_out: bool = False
    ) -> Result:
        now = self._clock.now()
        return Result(
            messages=messages,
            timed_out=timed_out,
            error_type=error_type,
            time_taken=time_taken,
            started=now if self.started is None else self.started,
            finished=now,
            host=_host(),
            pid=os.getpid(),
            backend=self.definition.backend,
        )

    def _claim(self, result: Result) -> bool:
        """Make this its outcome, unless it has one."""
        with self._lock:
            if self._result is None:
                self._result = result
            return self._result is result

    def _publish(self, result: Result, traceback: str) -> None:
        """Tell of the outcome: the observers first, so that who waits for it finds their work done."""
        self.observer.end(result)
        exemplar = self.observer.exemplar()
        if exemplar:
            result = dataclasses.replace(result, exemplar=exemplar)
        if self._round is not None:
            self._round.one_less()
        try:
            self._decided(self, result, traceback)
        except Exception as failure:
            log_error(f"The outcome of {self.definition.label} could not be published.", failure)
            self.outcome.set_result(Record.after(None, result, max_age=0))


@functools.cache
def _host() -> str:
    return socket.gethostname()


class Round:
    """The runs that one reading started; its observer hears when all have an outcome."""

    def __init__(self, observer: RoundObserver, size: int) -> None:
        self.observer = observer
        self._lock = new_lock()
        self._left = size

    def one_less(self) -> None:
        """Note that one more run has its outcome."""
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self.observer.end()
