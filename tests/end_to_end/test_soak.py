"""Thousands of requests: nothing grows."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
import time
from collections.abc import Callable

import psutil
import pytest

from tests.support.client import get
from tests.support.repetitions import times
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

WORKERS = 2
CLIENTS = 4
WARM_UP = times(1000, least=300)
REQUESTS = WARM_UP + times(4000)
MAX_AGE = 0.25

PATHS = ["/health/?format=json", "/health/", "/metrics", "/health/?format=text"]
CHECKS = ["tests.support.site.checks.Counting", "tests.support.site.checks.CountingAsync", "health_check.Database"]

NOISE_THREADS = 2
NOISE_FILES = 5
NOISE_BYTES = 8 * 2**20
"""By how much a process may have more at the end than after it has warmed up.

Which process runs a check is decided by lot: one may run its first async check, and start its event loop with its
three descriptors, after the warm-up.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What a process uses."""

    threads: int
    """Its threads."""
    files: int
    """Its file descriptors."""
    databases: int
    """Those that are SQLite's files, the store's or the site's."""
    memory: int
    """Its resident memory in bytes."""

    def __str__(self) -> str:
        parts = (self.threads, self.files, self.databases, self.memory / 2**20)
        return "{} threads, {} files, {} of them SQLite's, {:.1f} MiB".format(*parts)


def test_soak__lets_nothing_grow(tmp_path: pathlib.Path) -> None:
    """After many requests each process has the threads, files, connections and memory it had after the first."""
    site = Site(folder=tmp_path, checks=CHECKS, max_age=MAX_AGE)
    with site_under_gunicorn(site, f"--workers={WORKERS}", "--threads=1") as server:
        ask(server, WARM_UP)
        before = figures_of(server)
        start = time.monotonic()
        answered = ask(server, REQUESTS - WARM_UP)
        seconds = time.monotonic() - start
        after = figures_of(server)

    print(f"{(REQUESTS - WARM_UP) / seconds:.0f} requests a second; answers by process: {dict(answered)}")
    for pid in before:
        print(f"{pid} after {WARM_UP} requests: {before[pid]}; after {REQUESTS}: {after.get(pid)}")
    assert before.keys() == after.keys(), "A worker was replaced"
    assert answered.keys() == {str(pid) for pid in before}, "Some worker was not asked"
    for pid, then in before.items():
        now = after[pid]
        assert now.threads <= then.threads + NOISE_THREADS
        assert now.files <= then.files + NOISE_FILES
        assert now.databases <= then.databases
        assert now.memory <= then.memory + NOISE_BYTES


def ask(server: Server, requests: int) -> collections.Counter[str]:
    """Ask for all kinds of pages, with several clients at once, and count the answers of each process."""
    paths = list(itertools.islice(itertools.cycle(PATHS), requests))

    def status_of(path: str) -> str:
        answer = get(server.url + path)
        assert answer.status == 200, answer
        return answer.headers[PROCESS_HEADER]

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return collections.Counter(pool.map(status_of, paths))


def figures_of(server: Server) -> dict[int, Figures]:
    """Return what each worker uses when it is idle: the least of several looks, as checks go on."""
    workers = psutil.Process(server.process.pid).children()
    looks: dict[int, list[Figures]] = {worker.pid: [] for worker in workers}
    for _ in range(10):
        for worker in workers:
            looks[worker.pid].append(figures_now(worker))
        time.sleep(0.05)
    return {pid: least(several) for pid, several in looks.items()}


def figures_now(process: psutil.Process) -> Figures:
    """Return what a process uses."""
    files = [file.path for file in process.open_files()]
    return Figures(
        threads=process.num_threads(),
        files=process.num_fds(),
        databases=sum(".sqlite3" in path for path in files),
        memory=process.memory_info().rss,
    )


def least(looks: list[Figures]) -> Figures:
    """Return the least of each figure."""

    def smallest(figure: Callable[[Figures], int]) -> int:
        return min(figure(look) for look in looks)

    return Figures(
        threads=smallest(lambda look: look.threads),
        files=smallest(lambda look: look.files),
        databases=smallest(lambda look: look.databases),
        memory=smallest(lambda look: look.memory),
    )
