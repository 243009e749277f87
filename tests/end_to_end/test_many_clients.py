"""One run, however many ask, also while one check is slow and one hangs; and nothing is left of a crowd."""

from __future__ import annotations

import pathlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support.client import Answer, eventually, get
from tests.support.containment import hanging
from tests.support.repetitions import times
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CLIENTS = times(200, least=40)
SECONDS = 3.0
MAX_AGE = 1.0

NAMES = ["Counting", "CountingAsync", "Slow", "SlowAsync"]
"""Checks that are in order; ``Slow`` takes half a second, ``SlowAsync`` a fifth."""

PATHS = ["/health/?format=json", "/metrics", "/health/?format=health%2Bjson", "/health/"]

SPARE_THREADS = 12
SPARE_BYTES = 24 * 2**20
"""By how much a process may have more after the crowd than before: one that had run nothing has since started a thread
for each of the checks, which may hang or wait for more work, some that see to them, and its memory."""


def test_many_clients__cause_one_run_per_max_age(tmp_path: pathlib.Path) -> None:
    """All get their answer, each check runs once per max_age over all workers and faces, and then all is as before."""
    checks = [*hanging("Hang", 1, timeout=1), *(f"tests.support.site.checks.{name}" for name in NAMES)]
    with site_under_gunicorn(
        Site(folder=tmp_path, checks=checks, max_age=MAX_AGE), "--workers=2", "--threads=4"
    ) as server:
        ask_until([f"{server.url}{PATHS[0]}"] * 10, 2.0)  # so that all workers know what hangs
        before = use_of(server)
        answers = ask_until([server.url + PATHS[number % len(PATHS)] for number in range(CLIENTS)], SECONDS)
        after = use_of(server)
        assert {answer.status for answer in answers} == {200, 500}
        for answer in answers:
            if answer.headers.get_content_type() == "application/json":
                assert {label: text for label, text in answer.json().items() if "Hang" not in label} == IN_ORDER
        assert_run_once_per_max_age(tmp_path, processes=len(before))
        eventually(lambda: counted(server) == noted(tmp_path), what="as many runs in the metrics as there were")
    print(
        f"{len(answers)} answers, the slowest after {max(answer.seconds for answer in answers):.2f} s; {before} {after}"
    )
    for pid, (threads, memory) in before.items():
        assert after[pid][0] <= threads + SPARE_THREADS
        assert after[pid][1] <= memory + SPARE_BYTES


IN_ORDER = dict.fromkeys(NAMES, "OK")


def ask_until(urls: list[str], seconds: float) -> list[Answer]:
    """Ask for each URL again and again for some seconds, all beginning at the same moment."""
    together = threading.Barrier(len(urls))

    def ask(url: str) -> list[Answer]:
        together.wait()
        until = time.monotonic() + seconds
        answers = [get(url)]
        while time.monotonic() < until:
            answers.append(get(url))
        return answers

    with ThreadPoolExecutor(len(urls)) as pool:
        return [answer for answers in pool.map(ask, urls) for answer in answers]


def use_of(server: Server) -> dict[int, tuple[int, int]]:
    """Return how many threads and bytes of memory each worker has."""
    workers = psutil.Process(server.process.pid).children()
    return {worker.pid: (worker.num_threads(), worker.memory_info().rss) for worker in workers}


def assert_run_once_per_max_age(folder: pathlib.Path, *, processes: int) -> None:
    """Assert that no check was run too soon, and that the one that hangs was not started again by any process."""
    for name in NAMES:
        runs = noted_runs(folder, name)
        assert len(runs) > 1, f"{name} was not run again when its result was old"
        assert min(gaps(runs)) >= MAX_AGE, f"{name} was run again too soon"
    hung = [run.pid for run in noted_runs(folder, "Hang")]
    assert len(set(hung)) == len(hung) <= processes


def noted(folder: pathlib.Path) -> dict[str, float]:
    """Return how many runs there were by label."""
    return {"Hang-0": len(noted_runs(folder, "Hang")), **{name: len(noted_runs(folder, name)) for name in NAMES}}


def counted(server: Server) -> dict[str, float]:
    """Return how many runs the metrics count by label."""
    found = re.findall(r'runs_total{check="([^"]+)",outcome="\w+"} (\S+)', get(f"{server.url}/metrics").body)
    return {label: sum(float(value) for name, value in found if name == label) for label, _ in found}
