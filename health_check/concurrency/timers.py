"""Timers: one thread that calls functions at their time, so that nobody has to wait for a deadline."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.logs import log_error

IDLE_SECONDS = 60.0
"""How long the thread waits for another deadline before it ends."""


class Timer:
    """A deadline that can be called off."""

    __slots__ = ("at", "callback", "number")

    def __init__(self, at: float, number: int, callback: Callable[[], object]) -> None:
        self.at = at
        self.number = number
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Call the deadline off; no harm if it has passed."""
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return (self.at, self.number) < (other.at, other.number)


class Timers:
    """Call functions at their time, on a thread of its own; they must be quick."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._condition = threads.Condition()
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._awake = False

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Have a function called after some seconds, unless the timer is cancelled before.

        Raises:
            RuntimeError: If the thread cannot be started.
        """
        timer = Timer(self._clock.monotonic() + seconds, next(self._numbers), callback)
        with self._condition:
            heapq.heappush(self._timers, timer)
            if not self._awake:
                threads.start(self._watch, "timers")
                self._awake = True
            elif self._timers[0] is timer:
                self._condition.notify()
        return timer

    def _watch(self) -> None:
        while (timer := self._next()) is not None:
            callback = timer.callback
            if callback is None:
                continue
            try:
                callback()
            except Exception as error:
                log_error("A deadline of a health check could not be kept.", error)

    def _next(self) -> Timer | None:
        with self._condition:
            while True:
                while self._timers and self._timers[0].callback is None:
                    heapq.heappop(self._timers)
                if not self._timers:
                    if not self._condition.wait_for(lambda: self._timers, IDLE_SECONDS):
                        self._awake = False
                        return None
                    continue
                remaining = self._timers[0].at - self._clock.monotonic()
                if remaining <= 0:
                    return heapq.heappop(self._timers)
                self._condition.wait(remaining)
