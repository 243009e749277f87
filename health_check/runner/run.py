"""One run of a check, from the moment it is asked for to its outcome."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.concurrency.threads import new_lock
from health_check.conf import host_name
from health_check.logs import details
from health_check.records import Message, Result, State, state_of, unavailable
from health_check.registry.definitions import Definition
from health_check.runner.boundary import ExecutionResult, explain
from health_check.runner.observers import RoundObserver, RunObserver
from health_check.runner.resources import THREADS

GRACE_SECONDS = 0.5
"""How much longer than its budget a run may take: a client with a timeout of its own is to fail first."""


SLOW_SECONDS = 1.0
"""After how long, or half of its budget, a run takes long: then it is looked for what it may be waiting for."""

OBSERVER_SECONDS = 0.3
"""How long after its deadline a run's outcome is published though observers have not heard of it yet."""


NO_THREAD = "no thread could be started to run the check"
"""What is said where the system has no thread left, or no memory for its stack."""


class Round:
    """The runs that one refresh starts at once; its observer is called when all have an outcome."""

    def __init__(self, observer: RoundObserver, size: int) -> None:
        self.observer = observer
        self.host = host_name()
        """What this host is called."""
        self._lock = new_lock()
        self._left = size

    def one_less(self) -> None:
        """Note that one more run has its outcome."""
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self.observer.end()


class Run:
    """An execution of a check: it gets its outcome once, when it ends or at its deadline.

    The lock guards who decides the outcome, and is held for moments.

    Args:
        definition: The check.
        timeout: Its time budget, in seconds.
        round_: The round that it is one of.
        arrived: Is called when it has its outcome, on any thread.
        ended: Is called when nothing of the run is going on any more.
        clock: Returns the time.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        timeout: float,
        round_: Round,
        arrived: Callable[[Run], None],
        ended: Callable[[Run], None],
        clock: Clock,
    ) -> None:
        self.definition = definition
        self.asynchronous = definition.asynchronous
        self.timeout = timeout
        self.started: float | None = None
        self.asked_monotonic = clock.monotonic()
        self.started_monotonic: float | None = None
        self.ended_monotonic = 0.0
        self.observer = RunObserver()
        self.round = round_
        self.result: Result | None = None
        self.traceback = ""
        self.cause = ""
        self.abandon: Callable[[], None] = lambda: None
        """Leaves what still executes to itself; said by who executes it."""
        self.backlog: Callable[[], str] = lambda: ""
        """Says what else waits for a thread, and for how long; said by who executes it."""
        self.lacks = ""
        """What this process has run out of, so that the outcome is not shared with other processes."""
        self.thread_id = 0
        """The thread that it began on, as the system numbers it; for an async check that of the event loop."""
        self.hint = ""
        """What it may be waiting for, as far as that shows while it runs."""
        self.is_looked_at = False
        """Whether it was looked for that already."""
        self.is_recorded = False
        self.is_over = False
        self._arrived = arrived
        self._ended = ended
        self._clock = clock
        self._lock = new_lock()
        self._lost_before = clock.lost_seconds

    @property
    def deadline(self) -> float:
        """When to check the run again, on the monotonic clock: to give it up, or sooner while it waits for a thread.

        Time in which the process was frozen is added.
        Where it has its outcome, when to go on with that though observers still have not heard of it.
        """
        started = self._clock.monotonic() if self.started_monotonic is None else self.started_monotonic
        observing = 0.0 if self.result is None else OBSERVER_SECONDS
        return started + self.timeout + GRACE_SECONDS + observing + self._clock.lost_seconds - self._lost_before

    @property
    def see_at(self) -> float:
        """When to see to it next, on the monotonic clock: at its deadline, and before that once it takes long."""
        if self.is_looked_at:
            return self.deadline
        started = self._clock.monotonic() if self.started_monotonic is None else self.started_monotonic
        return min(self.deadline, started + min(SLOW_SECONDS, self.timeout / 2))

    def is_slow(self, now: float) -> bool:
        """Return whether it takes long by now, once."""
        if self.result is not None or self.started_monotonic is None or self.is_looked_at or now < self.see_at:
            return False
        self.is_looked_at = True
        return True

    @property
    def timed_out(self) -> bool:
        """Whether it was given up at its deadline."""
        return self.result is not None and self.result.timed_out

    @property
    def is_stuck(self) -> bool:
        """Whether it was given up, and all know; meant for runs that have not ended."""
        return self.timed_out and self.is_recorded

    @property
    def was_queued(self) -> bool:
        """Whether it waits for a thread, or had to wait so long that nobody can expect its outcome yet."""
        if self.started_monotonic is None:
            return True
        return self.result is None and self.started_monotonic - self.asked_monotonic > GRACE_SECONDS

    def waiting_for(self) -> Message:
        """Return what a reader that cannot wait any longer says of it."""
        if self.started_monotonic is None:
            backlog = self.backlog()
            return unavailable("waiting for a free thread" + (f": {backlog}" if backlog else ""))
        seconds = self._clock.monotonic() - self.started_monotonic
        return self._hinting(unavailable(f"still running, started {seconds:.0f} s ago"))

    def begin(self) -> None:
        """Note that it starts now, on this thread; a second start, on another event loop, is no news."""
        if self.started is not None:
            return
        self.started = self._clock.now()
        self.thread_id = threads.original("_thread", "get_ident")()
        self._lost_before = self._clock.lost_seconds
        self.started_monotonic = self._clock.monotonic()
        self.observer = self.round.observer.run(self.definition)

    def finish(self, execution: ExecutionResult) -> None:
        """Give it the outcome of an execution; dropped if it has one."""
        messages = execution.messages
        if state_of(messages) is State.ERROR:
            messages = (*messages[:-1], self._hinting(messages[-1]))
        result = self._result_of(
            messages, execution.time_taken, execution.error_type, pretty_status=execution.pretty_status
        )
        self._decide(result, execution.details, execution.cause, execution.lacks)

    def fail_to_start(self, error: BaseException) -> None:
        """Give it up: there is no thread for it."""
        self.begin()
        message = unavailable(NO_THREAD)
        self._decide(self._result_of((message,), 0.0, explain(error)), details(error), lacks=THREADS)

    def expire(self) -> bool:
        """Give it up where its deadline has passed: it timed out. Return whether that was news.

        Observers have to be called on another thread, by ``tell``: they may be slow.
        """
        if self.result is not None or self.started_monotonic is None or self._clock.monotonic() < self.deadline:
            return False
        message = self._hinting(unavailable(f"timed out after {self.timeout:g} s"))
        result = self._result_of((message,), self.timeout + GRACE_SECONDS, "timeout", timed_out=True)
        if not self._claim(result):
            return False
        self.abandon()
        return True

    def tell(self) -> None:
        """Report the outcome to the observers, and then to those who wait for it, who find the observers' work done."""
        if self.result is not None:
            self.observer.end(self.result)
            exemplar = self.observer.exemplar()
            if exemplar:
                self.result = dataclasses.replace(self.result, exemplar=exemplar)
            self.round.one_less()
            self._arrived(self)

    def _hinting(self, message: Message) -> Message:
        return dataclasses.replace(message, text=f"{message.text}; {self.hint}") if self.hint else message

    def end(self) -> None:
        """Note that nothing of it is going on any more."""
        self._ended(self)

    def _decide(self, result: Result, traceback: str, cause: str = "", lacks: str = "") -> None:
        """Make this its outcome, unless it has one."""
        if self._claim(result):
            self.traceback, self.cause, self.lacks = traceback, cause, lacks
            self.tell()

    def _claim(self, result: Result) -> bool:
        with self._lock:
            if self.result is not None:
                return False
            self.ended_monotonic = self._clock.monotonic()
            self.result = result
        return True

    def _result_of(
        self,
        messages: tuple[Message, ...],
        time_taken: float,
        error_type: str | None,
        *,
        timed_out: bool = False,
        pretty_status: str | None = None,
    ) -> Result:
        now = self._clock.now()
        return Result(
            messages=messages,
            timed_out=timed_out,
            error_type=error_type,
            time_taken=time_taken,
            started=now if self.started is None else self.started,
            finished=now,
            host=self.round.host,
            pid=os.getpid(),
            backend=self.definition.backend,
            pretty_status=pretty_status,
        )
