"""A process that could do nothing for a while, as its container was paused: what it lost is nobody's failure."""

from __future__ import annotations

import pathlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support.client import eventually, get
from tests.support.repetitions import long
from tests.support.servers import Server, site_under_gunicorn, uvicorn, worker_of
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

FROZEN_SECONDS = 4.0
"""Longer than the checks may take."""


def states(server: Server, path: str = "/health/") -> dict[str, str]:
    """Return what a site says of its checks."""
    body: dict[str, str] = get(f"{server.url}{path}", format="json").json()
    return body


@pytest.mark.parametrize("kind", ["threads", long("event loop")])
def test_frozen_process__times_nothing_out(tmp_path: pathlib.Path, kind: str) -> None:
    """Checks of half a second with a budget of one are ok, though their process stood still for four seconds."""
    names = ["Slow", "SlowAsync"]
    checks = [[f"tests.support.site.checks.{name}", {"timeout": 1}] for name in names]
    site = Site(folder=tmp_path, checks=checks, max_age=0)
    serving = site_under_gunicorn(site) if kind == "threads" else uvicorn(tmp_path, site.environment())
    with serving as server, ThreadPoolExecutor(1) as pool:
        process = worker_of(server) if kind == "threads" else psutil.Process(server.process.pid)
        for number in range(1, 4):
            asked = pool.submit(states, server)
            eventually(lambda number=number: len(noted_runs(tmp_path, "Slow")) >= number, what="a run")  # type: ignore[misc]
            process.suspend()
            threading.Event().wait(FROZEN_SECONDS)
            process.resume()
            assert asked.result() == dict.fromkeys(names, "OK")
        assert "is error" not in server.output()


def test_frozen_process__its_hung_check_times_out(tmp_path: pathlib.Path) -> None:
    """What a process lost is given back once: a check that hangs is given up all the same."""
    site = Site(folder=tmp_path, checks=[["tests.support.site.checks.Hang", {"timeout": 1}]])
    with site_under_gunicorn(site) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(states, server)
        eventually(lambda: noted_runs(tmp_path, "Hang"), what="a run")
        worker = worker_of(server)
        worker.suspend()
        threading.Event().wait(FROZEN_SECONDS)
        worker.resume()
        resumed = time.monotonic()
        assert "after 1 s" in asked.result()["Hang"]
        assert time.monotonic() - resumed > 0.5
