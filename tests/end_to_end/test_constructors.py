"""A check whose constructor is slow and fails: whoever does not need it does not wait for it."""

from __future__ import annotations

import concurrent.futures
import pathlib
import time

import pytest

from tests.support.client import Answer, Lag, eventually, get
from tests.support.repetitions import long
from tests.support.servers import site_under_gunicorn
from tests.support.site.checks import release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server


@pytest.mark.parametrize("worker", [long("gthread"), "gevent"])
def test_constructor__slow_and_failing(tmp_path: pathlib.Path, worker: str) -> None:
    """Probes of others with a limit of a second get their answer, also while it is tried again."""
    site = Site(
        folder=tmp_path,
        checks=["tests.support.site.hostile.SlowlyBuilt"],
        others=["tests.support.site.checks.Counting"],
        health_check={"STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"}},
    )
    lag = Lag()
    with (
        site_under_gunicorn(site, f"--worker-class={worker}", "--threads=20") as server,
        concurrent.futures.ThreadPoolExecutor(20) as pool,
    ):
        with lag.measured():
            asked = pool.submit(get, f"{server.url}/health/", format="json")
            probes = [pool.submit(get, f"{server.url}{path}") for path in ["/health/live/"] * 8 + ["/others/"]]
            until = time.monotonic() + 10
            answers: list[Answer] = [probe.result() for probe in probes]
            while time.monotonic() < until:
                answers.append(get(f"{server.url}/health/live/"))
                time.sleep(0.25)
        assert {answer.status for answer in answers} == {200}
        slowest = max(answer.seconds for answer in answers)
        print(f"{len(answers)} probes, the slowest took {slowest:.3f} s")
        assert slowest < 1 + lag.slack
        found = asked.result()
        assert found.status == 500
        assert [text[:13] for text in found.json().values()] == ["unavailable: "]
        assert "ConnectionRefusedError" in found.body
        assert "nobody meant" not in found.body
        release(tmp_path)
        eventually(lambda: get(f"{server.url}/health/").status == 200, what="the service is back")
