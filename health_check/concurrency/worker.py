"""A worker: one thread that does steps, one after the other, those that come in and those whose time has come."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable

from health_check.concurrency import threads
from health_check.concurrency.clock import BEAT_SECONDS, SLEEP_SECONDS, Clock
from health_check.logs import log_error

Step = Callable[[], object]

IDLE_SECONDS = 60.0
"""How long the thread waits for a step before it ends."""


class Worker:
    """Do steps on a daemon thread, which starts with the first one and ends when there is nothing to do for a while.

    A step that hangs holds up all others: who notices calls ``replace``. The lock is held for moments only.

    Args:
        clock: Returns the time.
        name: What the thread is called, after ``health-check-``.
        ending: Called on the thread before it ends.
        keeps_deadlines: Whether its steps keep deadlines: while it has timers it wakes up often enough to notice how
            late it is, and corrects the clock.
    """

    def __init__(self, clock: Clock, name: str, ending: Step = lambda: None, *, keeps_deadlines: bool = False) -> None:
        self._clock = clock
        self._name = name
        self._ending = ending
        self._keeps_deadlines = keeps_deadlines
        self._woke: Callable[[float], None] = clock.woke if keeps_deadlines else lambda due: None
        self._lock = threads.new_lock()
        self._inbox: queue.SimpleQueue[Step | None] = threads.new_queue()
        self._timers: list[tuple[float, int, Step]] = []
        self._numbers = itertools.count()
        self._thread: int | None = None
        self._awake = False
        self._successor: Worker | None = None

    @property
    def is_current(self) -> bool:
        """Whether the caller is a step."""
        return self._thread == threading.get_ident()

    def submit(self, step: Step) -> None:
        """Have a step done.

        Raises:
            RuntimeError: If the thread cannot be started.
        """
        with self._lock:
            successor = self._successor
            if successor is None:
                if not self._awake:
                    threads.start(self._work, self._name)
                    self._awake = True
                self._inbox.put(step)  # last: a step that there is no thread for is the caller's again
                return
        successor.submit(step)

    def call_at(self, moment: float, step: Step) -> None:
        """Have a step done at a moment of the monotonic clock; called by steps only."""
        if self._successor is None:
            heapq.heappush(self._timers, (moment, next(self._numbers), step))

    def replace(self) -> Worker:
        """Leave the thread to the step that it hangs in, and return a worker that does what it has not begun.

        If its thread cannot be started now, it is with the next step.
        """
        successor = Worker(self._clock, self._name, self._ending, keeps_deadlines=self._keeps_deadlines)
        with self._lock:
            self._successor = successor
            successor._timers, successor._numbers = list(self._timers), self._numbers
            while True:
                try:
                    step = self._inbox.get_nowait()
                except queue.Empty:
                    break
                successor._inbox.put(step)
        self._inbox.put(None)
        with contextlib.suppress(RuntimeError):
            successor.submit(lambda: None)
        return successor

    def leave(self) -> None:
        """Have the thread end as soon as its step has; what is submitted later starts another one."""
        with self._lock:
            if self._awake:
                self._inbox.put(None)
            else:
                self._ending()

    def _work(self) -> None:
        self._thread = threading.get_ident()
        while (step := self._next()) is not None:
            due = time.monotonic() + BEAT_SECONDS
            try:
                step()
            except BaseException as error:  # a receiver's CancelledError, say: no step ends the thread
                with contextlib.suppress(Exception):  # the log may be what fails
                    log_error("A step of the health checks failed.", error, beside=self._keeps_deadlines)
            if self._successor is not None:
                return
            self._woke(due)

    def _next(self) -> Step | None:
        """Return the next step; None when the thread is to end."""
        while True:
            now = self._clock.monotonic()
            if self._timers and self._timers[0][0] <= now and self._inbox.empty():
                return heapq.heappop(self._timers)[2]
            seconds = self._timers[0][0] - now if self._timers else IDLE_SECONDS
            most = SLEEP_SECONDS if self._keeps_deadlines and self._timers else threads.LONGEST_SECONDS
            seconds = min(max(0.0, seconds), most)
            due = time.monotonic() + seconds
            try:
                step = self._inbox.get(timeout=seconds)
            except queue.Empty:
                if self._timers:
                    continue
                step = None
            finally:
                self._woke(due)
            if step is not None or self._successor is not None:
                return step
            self._ending()  # before the next step can start another thread
            with self._lock:
                if self._inbox.empty():
                    self._awake = False
                    self._thread = None
                    return None
