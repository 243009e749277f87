"""What tests of the runner and the monitor need: checks to hold and release, and a clock to move."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from health_check.backends import HealthCheck
from health_check.clock import Clock
from health_check.definitions import Definition
from health_check.entries import parse
from health_check.monitor import Monitor
from health_check.reports import Reading
from health_check.runner import Runner
from health_check.stores.memory import MemoryStore

SECONDS = 20.0
"""How long a test waits for what must happen."""

_numbers = itertools.count(1)


class MovableClock(Clock):
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return super().now() + self.offset

    def monotonic(self) -> float:
        return super().monotonic() + self.offset

    def forward(self, seconds: float) -> None:
        """Let some seconds pass."""
        self.offset += seconds


class Bench:
    """A monitor of its own, with a clock to move."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = MemoryStore(clock=self.clock)
        self.monitor = Monitor(lambda: self.store, Runner(self.clock), self.clock)

    def read(self, definition: Definition, **options: object) -> Reading:
        """Read one check."""
        return self.monitor.read([definition], **options)[0]  # type: ignore[arg-type]


def defined(check_status: Callable[[HealthCheck], object] | Held, **policy: object) -> Definition:
    """Return the definition of a check that does this, with a label of its own."""
    if isinstance(check_status, Held):
        held = check_status
        return defined(lambda check: held.wait(), **policy)
    check_class = type(f"Check{next(_numbers)}", (HealthCheck,), {"check_status": check_status})
    return parse((check_class, policy)).define()


class Held:
    """A check_status that waits until it is let go, and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.running = threading.Event()
        self.let_go = threading.Event()

    def wait(self) -> None:
        """Be the check."""
        self.runs += 1
        self.running.set()
        self.let_go.wait(SECONDS)
