"""What runs cost: how long a reader waits for checks that must run, and what a check costs by itself."""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

from django.core.handlers.wsgi import WSGIHandler

from benchmarks.figures import Figure
from benchmarks.requests import wsgi_request
from benchmarks.sites import Nothing, NothingAsync, site_of
from health_check.backends import HealthCheck

ROUNDS = 15
"""How often each thing is done."""

WORK_SECONDS = 0.1
"""How long a check of those takes that do something."""

CHECKS = 10
"""How many of them there are."""

CLIENTS = 20
"""How many clients ask at once."""

FEW, MANY = 20, 220
"""How many checks that do nothing the cost of one is told from."""


@dataclasses.dataclass
class Working(HealthCheck):
    """Take a while."""

    number: int = 0
    max_age = 0.3

    def check_status(self) -> None:
        """Wait, as for a server."""
        time.sleep(WORK_SECONDS)

    def __repr__(self) -> str:
        return f"Working {self.number}"


@dataclasses.dataclass
class Hanging(HealthCheck):
    """Hang."""

    timeout = 1
    max_age = 60

    def check_status(self) -> None:
        """Wait for nothing."""
        threading.Event().wait()


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures of expired records, of one check more, and of a check that hangs."""
    with site_of(CHECKS, folder, check=Working, max_age=0.3):
        ask = wsgi_request(WSGIHandler(), "/health/", "application/json")
        what = f"{CHECKS} checks of {WORK_SECONDS * 1000:.0f} ms, expired"
        yield Figure.of(f"{what}, one client", _expired(ask, 1), "ms", target=115)
        yield Figure.of(f"{what}, {CLIENTS} clients at once", _expired(ask, CLIENTS), "ms", target=130)
    for kind, check, target in (("sync", Nothing, 60), ("async", NothingAsync, 15)):
        few, many = _runs(FEW, check, None), _runs(MANY, check, None)
        costs = [(b - a) / (MANY - FEW) * 1e6 for a, b in zip(few, many, strict=True)]
        yield Figure.of(f"one {kind} check more, in memory", costs, "µs", target=target)
    few, many = _runs(FEW, Nothing, folder), _runs(MANY, Nothing, folder)
    costs = [(b - a) / (MANY - FEW) * 1e6 for a, b in zip(few, many, strict=True)]
    yield Figure.of("one sync check more, published to SQLite", costs, "µs", target=150)
    yield from _hung(folder)


def _expired(ask: Callable[[], object], clients: int) -> list[float]:
    """Return how many milliseconds the slowest of some clients waited, round by round, once the records expired."""
    found = []
    for _ in range(ROUNDS):
        time.sleep(0.35)
        ready = threading.Barrier(clients + 1)
        taken: list[float] = []

        def client(ready: threading.Barrier = ready, taken: list[float] = taken) -> None:
            ready.wait()
            start = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - start)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        ready.wait()
        for thread in threads:
            thread.join()
        found.append(max(taken) * 1000)
    return found


def _runs(checks: int, check: type[HealthCheck], folder: pathlib.Path | None) -> list[float]:
    """Return how many seconds it takes to run so many checks that do nothing, sorted."""
    from health_check.monitor import runtime

    with site_of(checks, folder, check=check):
        found = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            runtime.read(force=True)
            found.append(time.perf_counter() - start)
    return sorted(found)


def _hung(folder: pathlib.Path) -> Iterator[Figure]:
    with site_of(1, folder, check=Hanging, max_age=60, warm=False):
        ask = wsgi_request(WSGIHandler(), "/health/", "application/json")
        before = set(threading.enumerate())
        start = time.perf_counter()
        ask()
        yield Figure.of(
            "a check with a budget of 1 s hangs: first answer", [time.perf_counter() - start], "s", target=1.7
        )
        times = []
        for _ in range(10):
            start = time.perf_counter()
            ask()
            times.append((time.perf_counter() - start) * 1000)
        yield Figure.of("the ten after it", times, "ms", target=10)
        started = set(threading.enumerate()) - before
        yield Figure.of("threads more than before, with the runner's own", [len(started)], "")
