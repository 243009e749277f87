"""The time, as everything here reads it, so that tests can move it."""

from __future__ import annotations

import time
from collections.abc import Callable

NOTICED_SECONDS = 0.1
"""How much later than it asked for a thread has to wake up for that to be time that the process lost."""

BEAT_SECONDS = 0.25
"""How long a step, or a wait for the store, may take while deadlines are kept: the rest is time that was lost."""

SLEEP_SECONDS = 0.05
"""How long to sleep at once at most while deadlines are kept: of each freeze so much is not noticed."""


def overslept(due: float) -> float:
    """Return for how many seconds this process could do nothing, as far as it shows.

    It may have been stopped, its machine paused, or have had no processor between requests.

    Args:
        due: When the caller asked to be woken, by ``time.monotonic``: not by a clock that tests move.
    """
    late = time.monotonic() - due
    return late if late > NOTICED_SECONDS else 0.0


class Clock:
    """Read the wall clock, the monotonic clock, and one that stands still while the process does."""

    now: Callable[[], float] = staticmethod(time.time)
    """Return the Unix time in seconds: for what people and other processes read."""

    monotonic: Callable[[], float] = staticmethod(time.monotonic)
    """Return seconds that never step: for measuring ages and waiting."""

    def __init__(self) -> None:
        self._lost = 0.0

    @property
    def lost_seconds(self) -> float:
        """For how many seconds in all the thread that keeps deadlines was late: deadlines are later by as many."""
        return self._lost

    def woke(self, due: float) -> None:
        """Note when the thread that keeps deadlines is awake that asked to be woken at a moment."""
        self._lost += overslept(due)
