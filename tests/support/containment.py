"""A site with checks that behave badly, asked by many clients, and what it costs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from tests.support.client import Answer, Lag, get, repeated
from tests.support.servers import Server, manage, site_under_gunicorn, uvicorn, worker_of
from tests.support.site.configuration import Site

TIMEOUT = 0.5
"""The budget of every check, in seconds."""

PROMISED_SECONDS = TIMEOUT + 1
"""Within how many seconds of its arrival a request for health is answered, whatever hangs."""

QUICK_SECONDS = 0.5
"""How long an answer may take that waits for no check."""

EXIT_SECONDS = 5.0
"""How long the exit of a process may take that is to end at once: a fraction of a second where nothing else runs."""

BUSY_SECONDS = 0.5
"""How much longer an answer may take than promised, as the machine is busy with other tests."""

HEALTHY = ["Counting", "CountingAsync", "SlowAsync"]
"""Checks that are in order, one of which takes a fifth of a second, on the event loop."""

OTHER_PAGES = {"/plain/": 200, "/on-loop/": 200, "/nowhere/": 404, "/health/live/": 200}
"""Pages that wait for no check, and their status codes."""

STILL_RUNNING = re.compile(r"unavailable: still running, started (\d+) s ago")


def hanging(name: str, number: int, **policy: Any) -> list[Any]:
    """Return the entries of as many checks that hang, whose labels are the class and a number."""
    path = f"tests.support.site.checks.{name}"
    return [[path, {"number": index, "name": f"{name}-{index}", **policy}] for index in range(number)]


def site_with(folder: pathlib.Path, checks: Sequence[Any], *, max_age: float = 0.3, **settings: Any) -> Site:
    """Return a site with these checks, among others that are in order."""
    healthy = [f"tests.support.site.checks.{name}" for name in HEALTHY]
    return Site(
        folder=folder,
        checks=[healthy[0], *checks, *healthy[1:]],
        others=healthy,
        max_age=max_age,
        health_check={"TIMEOUT": TIMEOUT, **settings},
    )


def command_seconds(site: Site, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run ``manage.py health_check``; return what came of it, and how many seconds beyond a site's of good checks."""
    well = dataclasses.replace(site, folder=site.folder / "well", checks=site.others)
    start = time.monotonic()
    assert manage(well, "health_check").returncode == 0
    middle = time.monotonic()
    done = manage(site, *arguments)
    return done, time.monotonic() - middle - (middle - start)


class Scene:
    """A server whose checks behave badly.

    Args:
        site: The site.
        server: Serves it.
        process: The process that does.
        lag: How late this machine is.
    """

    def __init__(self, site: Site, server: Server, process: psutil.Process, lag: Lag) -> None:
        self.site = site
        self.server = server
        self.process = process
        self.lag = lag
        self.slowest: dict[str, float] = collections.defaultdict(float)
        """How long the slowest answer of each page took, in seconds."""

    def ask(self, path: str, *, status: int, seconds: float, **query: str) -> Answer:
        """Return an answer, having checked its status, and that it took no longer than this."""
        answer = get(self.server.url + path, **query)
        self.slowest[path] = max(self.slowest[path], answer.seconds)
        assert answer.status == status, answer
        assert answer.seconds < seconds + BUSY_SECONDS + self.lag.slack, (path, answer.seconds, self.lag.slack)
        return answer

    def health(self) -> dict[str, str]:
        """Return what ``/health/`` says in time, which is never that all is in order."""
        found: dict[str, str] = self.ask("/health/", status=500, seconds=PROMISED_SECONDS, format="json").json()
        return found

    def is_healthy_but_for(self, *labels: str) -> bool:
        """Tell whether all other checks are in order."""
        return all(said == "OK" for label, said in self.health().items() if label not in labels)

    def seconds_still_running(self) -> list[int]:
        """Return for how long the checks run of which that is all that ``/health/`` says."""
        matches = [STILL_RUNNING.fullmatch(said) for said in self.health().values()]
        return [int(match[1]) for match in matches if match is not None]

    @contextlib.contextmanager
    def asking_for_other_pages(self) -> Iterator[None]:
        """Ask for pages that have nothing to do with checks meanwhile, and check that none is held up."""
        with repeated(self._ask_for_other_pages):
            yield

    def _ask_for_other_pages(self) -> None:
        for path, status in OTHER_PAGES.items():
            self.ask(path, status=status, seconds=QUICK_SECONDS)
            time.sleep(0.02)

    @contextlib.contextmanager
    def counting_threads(self) -> Iterator[list[int]]:
        """Count the process's threads meanwhile; the last number is the greatest."""
        most = [self.process.num_threads()]

        def count() -> None:
            most.append(max(most[-1], self.process.num_threads()))
            time.sleep(0.01)

        with repeated(count):
            yield most

    def stop(self) -> float:
        """End the server, and return how many seconds that took, having checked that it was not too long."""
        _, seconds = self.server.stop()
        assert seconds < EXIT_SECONDS + self.lag.slack
        return seconds

    def metric(self, start: str) -> list[float]:
        """Return the samples on the metrics page whose line begins so, after the common prefix."""
        lines = get(f"{self.server.url}/metrics").body.splitlines()
        return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"django_health_check_{start}")]

    def __str__(self) -> str:
        return ", ".join(f"{path} {seconds:.2f} s" for path, seconds in self.slowest.items())


@contextlib.contextmanager
def serving(kind: str, site: Site, *arguments: str) -> Iterator[Scene]:
    """Serve a site with one process; no check of ``/health/`` has run yet.

    Args:
        kind: ``"uvicorn"``, or which kind of worker gunicorn has.
        site: The site.
        arguments: More options of gunicorn's.
    """
    lag = Lag()
    with (
        uvicorn(site.folder, site.environment())
        if kind == "uvicorn"
        else site_under_gunicorn(site, f"--worker-class={kind}", *arguments) as server,
        lag.measured(),
    ):
        process = psutil.Process(server.process.pid) if kind == "uvicorn" else worker_of(server)
        yield Scene(site, server, process, lag)
