"""Two hundred clients at once, while one check is slow and one hangs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import psutil
import pytest

from tests.support.client import eventually, get
from tests.support.containment import BUSY_SECONDS, STILL_RUNNING, Reply, storm
from tests.support.repetitions import LONG, long
from tests.support.servers import Server, site_under_gunicorn, uvicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CLIENTS = 200
SECONDS = 3.0 if LONG else 2.0
MAX_AGE = 1.0
TIMEOUT = 1.0

HEALTHY = ["Counting", "CountingAsync", "Slow", "SlowAsync"]
"""Checks that are in order; ``Slow`` takes half a second, ``SlowAsync`` a fifth."""

STUCK = "Stuck(number=0)"

EXCUSES = {f"unavailable: timed out after {TIMEOUT:g} s", "unavailable: no result yet"}
"""What may be said of the check that hangs, beside that it is still running."""

SPARE_THREADS = 12
SPARE_BYTES = 24 * 2**20
"""By how much a process may have more after the storm than before: one that had run nothing has since started a thread
for each of the five checks, which may hang or wait for more work, some that see to them, and its memory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Use:
    """What a process uses."""

    threads: int
    """Its threads."""
    memory: int
    """Its resident memory in bytes."""


@contextlib.contextmanager
def serving(kind: str, folder: pathlib.Path) -> Iterator[Server]:
    """Serve the site, with two workers of four threads each or with uvicorn."""
    checks = [
        ["tests.support.site.hostile.Stuck", {"number": 0}],
        *(f"tests.support.site.checks.{name}" for name in HEALTHY),
    ]
    site = Site(folder=folder, checks=checks, max_age=MAX_AGE, health_check={"TIMEOUT": TIMEOUT})
    if kind == "gunicorn":
        with site_under_gunicorn(site, "--workers=2", "--threads=4") as server:
            yield server
    else:
        with uvicorn(site.folder, site.environment()) as server:
            yield server


def use_of(server: Server) -> dict[int, Use]:
    """Return what each process that serves uses."""
    processes = psutil.Process(server.process.pid).children() or [psutil.Process(server.process.pid)]
    return {p.pid: Use(threads=p.num_threads(), memory=p.memory_info().rss) for p in processes}


@pytest.mark.parametrize("kind", ["gunicorn", long("uvicorn")])
def test_storm__gets_an_answer_each(tmp_path: pathlib.Path, kind: str) -> None:
    """All get a health answer, each check runs once per max_age over all workers, and then all is as before."""
    with serving(kind, tmp_path) as server:
        url = f"{server.url}/health/?format=json"
        storm(url, clients=20, seconds=2 * TIMEOUT)  # so that all workers know what hangs
        before = use_of(server)
        replies = storm(url, clients=CLIENTS, seconds=SECONDS)
        assert_healthy_answers(replies)
        assert_run_once_per_max_age(tmp_path, processes=len(before))
        assert_counted(server, tmp_path)
        assert get(url).seconds < TIMEOUT + 1 + BUSY_SECONDS
        after = use_of(server)

    slowest = max(reply.seconds for reply in replies)
    print(
        f"{len(replies)} answers to {CLIENTS} clients of {kind}, the slowest after {slowest:.2f} s, queueing included"
    )
    for pid, use in before.items():
        mebibytes = (after[pid].memory - use.memory) / 2**20
        print(f"{pid}: {use.threads} threads before, {after[pid].threads} after; {mebibytes:+.1f} MiB")
        assert after[pid].threads <= use.threads + SPARE_THREADS
        assert after[pid].memory <= use.memory + SPARE_BYTES


def assert_healthy_answers(replies: list[Reply]) -> None:
    """Check that each is an answer of the health endpoint, and right."""
    assert len(replies) >= CLIENTS
    assert {reply.status for reply in replies} == {500}
    said: dict[str, set[str]] = collections.defaultdict(set)
    for reply in replies:
        for label, text in reply.json().items():
            said[label].add(text)
    stuck = said.pop(STUCK)
    assert {text for text in stuck if not STILL_RUNNING.fullmatch(text)} <= EXCUSES
    assert said == {name: {"OK"} for name in HEALTHY}


def assert_run_once_per_max_age(folder: pathlib.Path, *, processes: int) -> None:
    """Check that no check was run too soon, and that the one that hangs was not started again by any process."""
    for name in HEALTHY:
        runs = noted_runs(folder, name)
        print(f"{name}: {len(runs)} runs, at least {min(gaps(runs)):.3f} s apart")
        assert min(gaps(runs)) >= MAX_AGE
        assert len(runs) >= SECONDS / (MAX_AGE + TIMEOUT)
    stuck = [run.pid for run in noted_runs(folder, "Stuck")]
    print(f"Stuck: started {len(stuck)} times by {processes} processes")
    assert len(set(stuck)) == len(stuck) <= processes


def assert_counted(server: Server, folder: pathlib.Path) -> None:
    """Check that metrics count as many runs as there were."""

    def counted() -> dict[str, int]:
        runs: dict[str, int] = collections.defaultdict(int)
        for line in get(f"{server.url}/metrics").body.splitlines():
            if line.startswith("django_health_check_runs_total{"):
                runs[line.split('"')[1].partition("(")[0]] += int(float(line.rpartition(" ")[2]))
        return dict(runs)

    eventually(
        lambda: counted() == {name: len(noted_runs(folder, name)) for name in [*HEALTHY, "Stuck"]},
        what="as many runs in the metrics as there were",
    )
