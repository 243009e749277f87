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
from tests.support.servers import site_under_gunicorn, uvicorn, worker_of
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

FROZEN_SECONDS = 4.0
"""Longer than the checks may take."""


@pytest.mark.parametrize("kind", ["threads", long("event loop")])
def test_frozen_process__times_nothing_out(tmp_path: pathlib.Path, kind: str) -> None:
    """Checks of half a second with a budget of one are ok, though their process stood still for four seconds.

    What it lost is given back once: a check that hangs times out all the same.
    """
    names = ["Slow", "SlowAsync"]
    checks = [[f"tests.support.site.checks.{name}", {"timeout": 1}] for name in [*names, "Hang"]]
    site = Site(folder=tmp_path, checks=checks, max_age=0)
    serving = site_under_gunicorn(site) if kind == "threads" else uvicorn(tmp_path, site.environment())
    with serving as server, ThreadPoolExecutor(1) as pool:
        process = worker_of(server) if kind == "threads" else psutil.Process(server.process.pid)
        for number in range(1, 3):
            asked = pool.submit(get, f"{server.url}/health/", format="json")
            eventually(lambda number=number: len(noted_runs(tmp_path, "Slow")) >= number, what="a run")  # type: ignore[misc]
            process.suspend()
            threading.Event().wait(FROZEN_SECONDS)
            process.resume()
            resumed = time.monotonic()
            said = asked.result().json()
            hung = said.pop("Hang")
            assert said == dict.fromkeys(names, "OK")
            if number == 1:
                assert "after 1 s" in hung
                assert time.monotonic() - resumed > 0.5
        assert not [line for line in server.output().splitlines() if "is error" in line and "Hang" not in line]
