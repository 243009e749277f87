"""The time, as everything here reads it, so that tests can move it."""

from __future__ import annotations

import time


class Clock:
    """Read the wall clock and the monotonic clock."""

    def now(self) -> float:
        """Return the Unix time in seconds: for what people and other processes read."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never step: for measuring ages and waiting."""
        return time.monotonic()
