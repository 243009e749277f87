"""gevent: one thread serves all requests, and no check stops it; those that hang are in test_hanging."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import eventually, get, get_at_once
from tests.support.servers import Server, site_under_gunicorn, worker_of
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 0.5

OF_THE_SITE = {"/plain/": "plain", "/orm/": "0 migrations", "/on-loop/": "on a loop"}
"""Pages that have nothing to do with health, and what they say."""

WELL = ["Counting", "CountingAsync", "Socket", "Slow", "SlowAsync"]
"""Checks that run through: some wait on sockets or in ``time.sleep``, as gevent's monkey patch has it."""


@contextlib.contextmanager
def under_gevent(site: Site) -> Iterator[Server]:
    """Serve a site with one gevent worker."""
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        yield server


def ask_site(server: Server) -> None:
    """Check that all pages of the site itself answer right."""
    for path, text in OF_THE_SITE.items():
        answer = get(server.url + path)
        assert (answer.status, answer.body) == (200, text)


def test_gevent__runs_every_kind_of_check(tmp_path: pathlib.Path) -> None:
    """Checks that sleep, query, talk over sockets or are coroutines run right, also by themselves, in few threads."""
    checks = [*(f"tests.support.site.checks.{name}" for name in WELL), "health_check.Database"]
    site = Site(folder=tmp_path, checks=checks, max_age=MAX_AGE, health_check={"SCHEDULER": True})
    expected = dict.fromkeys([*WELL, "Database"], "OK")
    with under_gevent(site) as server:
        worker = worker_of(server)

        def is_run(times: int) -> bool:
            answers = get_at_once([f"{server.url}/health/?format=json", f"{server.url}/metrics"] * 4)
            for health, metrics in zip(answers[::2], answers[1::2], strict=True):
                assert health.json() == expected
                found = dict(re.findall(r'(?m)^django_health_check_status{check="(\w+)"} (\S+)$', metrics.body))
                assert found == dict.fromkeys(expected, "1.0")
            ask_site(server)
            return min(len(noted_runs(tmp_path, name)) for name in WELL) >= times

        eventually(lambda: is_run(3), what="three runs of each check")
        before = (worker.num_threads(), worker.num_fds())
        eventually(lambda: is_run(6), what="three runs more")
        assert worker.num_threads() <= before[0] + 2
        assert worker.num_fds() <= before[1] + 6
        runs = len(noted_runs(tmp_path, "Counting"))
        eventually(lambda: len(noted_runs(tmp_path, "Counting")) >= runs + 3, what="runs without requests")


def test_gevent__goes_on_while_a_check_blocks_in_c(tmp_path: pathlib.Path) -> None:
    """While a check waits where no monkey patch reaches, all other pages of the same worker answer."""
    os.mkfifo(tmp_path / "gate")
    site = Site(
        folder=tmp_path,
        checks=[["tests.support.site.checks.BlockedInC", {"timeout": 60, "max_age": 60}]],
        others=[
            "tests.support.site.checks.Counting",
            "tests.support.site.checks.CountingAsync",
            "health_check.Database",
        ],
        max_age=MAX_AGE,
    )
    with under_gevent(site) as server, ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(get, f"{server.url}/health/", format="json")
        eventually(lambda: noted_runs(tmp_path, "BlockedInC"), what="the start of the check")
        try:
            for _ in range(5):
                ask_site(server)
                others = get(f"{server.url}/others/", format="json")
                assert others.json() == {"Counting": "OK", "CountingAsync": "OK", "Database": "OK"}
            metrics = get(f"{server.url}/metrics").body
            assert 'django_health_check_state{check="BlockedInC",state="unknown"} 1.0' in metrics
            assert 'django_health_check_in_progress{check="BlockedInC"} 1.0' in metrics
            assert not blocked.done()
        finally:
            os.close(os.open(tmp_path / "gate", os.O_WRONLY))
        assert blocked.result().json() == {"BlockedInC": "OK"}
        assert len(noted_runs(tmp_path, "BlockedInC")) == 1
