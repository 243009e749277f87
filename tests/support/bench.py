"""What tests of the runner and the monitor need: checks to hold and release, and a clock to move."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from health_check.backends import HealthCheck
from health_check.concurrency.clock import Clock
from health_check.monitor.monitor import Monitor
from health_check.monitor.reports import Reading
from health_check.records import Record
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from health_check.runner.runner import Runner
from health_check.stores import Lease, Publication, Query, Store, StoreEntry
from health_check.stores.memory import MemoryStore
from tests.support import client

SECONDS = 60.0
"""How long a test waits for what must happen."""

_numbers = itertools.count(1)


class MovableClock(Clock):
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0

    def now(self) -> float:
        return super().now() + self.offset

    def monotonic(self) -> float:
        return super().monotonic() + self.offset

    def forward(self, seconds: float) -> None:
        """Let some seconds pass."""
        self.offset += seconds


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

    def check_class(self, name: str, **attributes: object) -> type[HealthCheck]:
        """Return a check of this name that does so."""
        return type(name, (HealthCheck,), {"check_status": lambda check: self.wait(), **attributes})

    def wait(self) -> None:
        """Be the check."""
        self.runs += 1
        self.running.set()
        self.let_go.wait(SECONDS)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until something is true, which must happen soon."""
    client.eventually(condition, what="what the test waits for", seconds=SECONDS, pause=0.005)


class SharedStore(MemoryStore):
    """A store as processes share one; a test makes it fail, hang and lose everything.

    Its methods are called by their names: ``look``, ``publish``, ``release`` and ``probe``.
    """

    shared = True
    poll_seconds = 0.005

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock=clock)
        self.clock = clock
        self.calls: list[str] = []
        """The methods called, in their order."""
        self.threads: set[threading.Thread] = set()
        """The threads that called them."""
        self.failures: dict[str, Exception] = {}
        """What methods raise."""
        self.holds: dict[str, Held] = {}
        """What the next call of a method waits for."""

    def describe(self) -> str:
        return "the shelf"

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        self._meet("look")
        return super().look(queries)

    def publish(self, publications: Sequence[Publication]) -> list[Record | None]:
        self._meet("publish")
        return super().publish(publications)

    def release(self, leases: Iterable[Lease]) -> None:
        self._meet("release")
        super().release(leases)

    def probe(self) -> None:
        self._meet("probe")

    def fail(self, error: Exception, *methods: str) -> None:
        """Raise this from now on, in some methods or in all."""
        self.failures = dict.fromkeys(methods or ("look", "publish", "release", "probe"), error)

    def recover(self) -> None:
        """Work again."""
        self.failures = {}

    @contextlib.contextmanager
    def holding(self, method: str) -> Iterator[Held]:
        """Have the next call of a method wait until it is let go, at the end at the latest; then it does its work."""
        held = self.holds[method] = Held()
        try:
            yield held
        finally:
            held.let_go.set()

    def lose(self) -> None:
        """Know nothing any more, as after the loss of a file."""
        with self._lock:
            self._records.clear()
            self._leases.clear()
            self._past.clear()

    def _meet(self, method: str) -> None:
        self.calls.append(method)
        self.threads.add(threading.current_thread())
        if (held := self.holds.pop(method, None)) is not None:
            held.wait()
        if (error := self.failures.get(method)) is not None:
            raise error


class Worker:
    """What a process of a site has: several of them share a store.

    Args:
        clock: Tells the time.
        create_store: Makes its store, or returns the one that all share.
    """

    def __init__(self, clock: Clock, create_store: Callable[[], Store]) -> None:
        self.monitor = Monitor(create_store, Runner(clock), clock)
        self.store_client = self.monitor.store_client

    def read(self, definition: Definition, **options: object) -> Reading:
        """Read one check."""
        return self.monitor.read([definition], **options)[0]  # type: ignore[arg-type]

    def close(self) -> None:
        """Let its threads go."""
        self.monitor.close()


class Bench(Worker):
    """A process of its own, with a clock to move."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = MemoryStore(clock=self.clock)
        super().__init__(self.clock, lambda: self.store)


class Script:
    """A check that does something else in each of its runs: waits, or fails, or nothing."""

    def __init__(self, *steps: Held | Exception | None) -> None:
        self.steps = steps
        self.threads: list[threading.Thread] = []

    @property
    def runs(self) -> int:
        """How often it ran."""
        return len(self.threads)

    def define(self, **policy: object) -> Definition:
        """Return its definition."""
        return defined(lambda check: self._run(), **policy)

    def _run(self) -> None:
        self.threads.append(threading.current_thread())
        step = self.steps[min(self.runs, len(self.steps)) - 1] if self.steps else None
        if isinstance(step, Held):
            step.wait()
        elif step is not None:
            raise step


class StillClock(MovableClock):
    """A clock that stands still until it is set forward, at 1000 seconds."""

    def now(self) -> float:
        return 1000.0 + self.offset

    def monotonic(self) -> float:
        return 1000.0 + self.offset
