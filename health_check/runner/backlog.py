"""The checks that wait for a free thread, and how long they will wait, in words."""

from __future__ import annotations

import math
from collections.abc import Callable

from health_check.concurrency.threads import new_lock


class Backlog:
    """Know the checks that run, those given to the pool since none waited there, and how long they took.

    Args:
        limit: Returns how many checks run at once.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._lock = new_lock()
        self._waiting = 0
        self._running: dict[str, float] = {}
        self._timeouts: dict[str, float] = {}
        self._taken: dict[str, float] = {}

    def add(self, label: str, timeout: float) -> None:
        """Note that a check waits for a thread from now on."""
        with self._lock:
            if not self._waiting:
                self._timeouts, self._taken = dict(self._running), {}
            self._waiting += 1
            self._timeouts[label] = timeout

    def leave(self) -> None:
        """Note that a check waits no longer."""
        with self._lock:
            self._waiting -= 1

    def begin(self, label: str, timeout: float) -> None:
        """Note that a check that has waited runs."""
        with self._lock:
            self._waiting -= 1
            self._running[label] = timeout

    def end(self, label: str, seconds: float) -> None:
        """Note how long a check took."""
        with self._lock:
            self._running.pop(label, None)
            if label in self._timeouts:
                self._taken[label] = seconds

    def describe(self) -> str:
        """Return how many checks there are, what they take or may take, and how long that is on so many threads."""
        with self._lock:
            number, known = len(self._timeouts), list((self._taken or self._timeouts).values())
            at_most = "" if self._taken else "up to "
        if not number:
            return ""
        seconds, limit = sum(known) / len(known), max(1, self._limit())
        need = math.ceil(number * seconds / limit)
        checks, verb = ("1 check", "needs") if number == 1 else (f"{number} checks", "need")
        return f"{checks} of {at_most}{seconds:.2g} s {verb} {need} s, MAX_CONCURRENCY is {limit}"
