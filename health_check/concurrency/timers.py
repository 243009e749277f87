"""The watchdog: one thread that keeps the deadlines, so that nobody has to wait for them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.logs import log_error

IDLE_SECONDS = 60.0
"""How long the thread waits for another deadline before it ends."""


class Alarm:
    """A deadline that can be called off."""

    __slots__ = ("at", "callback", "number")

    def __init__(self, at: float, number: int, callback: Callable[[], object]) -> None:
        self.at = at
        self.number = number
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Call the deadline off; no harm if it has passed."""
        self.callback = None

    def __lt__(self, other: Alarm) -> bool:
        return (self.at, self.number) < (other.at, other.number)


class Watchdog:
    """Call functions at their time, on a thread of its own; they must be quick."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._condition = threads.Condition()
        self._alarms: list[Alarm] = []
        self._numbers = itertools.count()
        self._awake = False

    def set(self, seconds: float, callback: Callable[[], object]) -> Alarm:
        """Have a function called after some seconds, unless the alarm is cancelled before.

        Raises:
            RuntimeError: If the thread cannot be started.
        """
        alarm = Alarm(self._clock.monotonic() + seconds, next(self._numbers), callback)
        with self._condition:
            heapq.heappush(self._alarms, alarm)
            if not self._awake:
                threads.start(self._watch, "watchdog")
                self._awake = True
            elif self._alarms[0] is alarm:
                self._condition.notify()
        return alarm

    def _watch(self) -> None:
        while (alarm := self._next()) is not None:
            callback = alarm.callback
            if callback is None:
                continue
            try:
                callback()
            except Exception as error:
                log_error("A deadline of a health check could not be kept.", error)

    def _next(self) -> Alarm | None:
        with self._condition:
            while True:
                while self._alarms and self._alarms[0].callback is None:
                    heapq.heappop(self._alarms)
                if not self._alarms:
                    if not self._condition.wait_for(lambda: self._alarms, IDLE_SECONDS):
                        self._awake = False
                        return None
                    continue
                remaining = self._alarms[0].at - self._clock.monotonic()
                if remaining <= 0:
                    return heapq.heappop(self._alarms)
                self._condition.wait(remaining)
