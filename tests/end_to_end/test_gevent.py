"""gevent: one thread serves all requests, and no check stops it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Lag, eventually, get, get_at_once
from tests.support.repetitions import long
from tests.support.servers import STOP_SECONDS, Server, site_under_gunicorn, worker_of
from tests.support.site.checks import noted_runs, release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 0.5

OF_THE_SITE = {"/plain/": "plain", "/orm/": "0 migrations", "/on-loop/": "on a loop"}
"""Pages that have nothing to do with health, and what they say."""

QUICK = ["Counting", "CountingAsync", "Socket"]
"""Checks that run through, one of which waits on sockets, as gevent's monkey patch has it."""

WELL = [*QUICK, "Slow", "SlowAsync"]
"""Those, and checks that take their time, one of them in ``time.sleep``, which is patched, too."""


@contextlib.contextmanager
def under_gevent(site: Site) -> Iterator[Server]:
    """Serve a site with one gevent worker."""
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        yield server


def site_of(folder: pathlib.Path, names: Iterable[str], *checks: object) -> Site:
    """Return a site with some of the checks that run through, and others."""
    own = [f"tests.support.site.checks.{name}" for name in names]
    return Site(folder=folder, checks=[*checks, *own, "health_check.Database"], max_age=MAX_AGE)


def ask_site(server: Server) -> None:
    """Check that all pages of the site itself answer right."""
    for path, text in OF_THE_SITE.items():
        answer = get(server.url + path)
        assert (answer.status, answer.body) == (200, text)


def test_gevent__runs_every_kind_of_check(tmp_path: pathlib.Path) -> None:
    """Checks that sleep, query, talk over sockets or are coroutines run right, again and again, in few threads."""
    site = site_of(tmp_path, WELL)
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


@dataclasses.dataclass(kw_only=True)
class Traffic:
    """Ask for the site's own pages all the time, and count how often they answered."""

    server: Server
    rounds: int = 0

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        """Do it meanwhile."""
        done = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(self._ask_until, done)
            try:
                yield
            finally:
                done.set()
            asking.result()

    def _ask_until(self, done: threading.Event) -> None:
        while not done.is_set():
            ask_site(self.server)
            self.rounds += 1


@pytest.mark.parametrize("name", [long("Hang"), "HangOnLoop"])
def test_gevent__spends_one_thread_on_a_check_that_hangs(tmp_path: pathlib.Path, name: str) -> None:
    """A check that hangs takes no more than a thread, and nothing from any other page; then it is as any other."""
    lag = Lag()
    site = site_of(tmp_path, QUICK, [f"tests.support.site.checks.{name}", {"timeout": 1}])
    with under_gevent(site) as server, lag.measured():
        url, worker, traffic = f"{server.url}/health/?format=json", worker_of(server), Traffic(server=server)
        with traffic.flowing():
            first = get(url)
        well = dict.fromkeys([*QUICK, "Database"], "OK")
        assert (first.status, first.json()) == (500, {name: "unavailable: timed out after 1 s", **well})
        assert first.seconds < 2 + lag.slack
        assert traffic.rounds >= 3

        def others_ran(times: int) -> bool:
            said = get(url).json()
            assert said.pop(name).startswith("unavailable: ")
            assert said == well
            return len(noted_runs(tmp_path, "Counting")) >= times

        eventually(lambda: others_ran(3), what="runs of the others")
        threads = worker.num_threads()
        eventually(lambda: others_ran(10), what="more runs of the others")
        assert len(noted_runs(tmp_path, name)) == 1
        assert worker.num_threads() <= threads + 4  # of the others, more or less at the same time
        release(tmp_path)
        eventually(lambda: get(url).json() == {name: "OK", **well}, what="all to be in order")


def test_gevent__runs_checks_by_itself_and_ends_quickly(tmp_path: pathlib.Path) -> None:
    """The scheduler works there, too; SIGTERM ends a worker at once, even with a check that hangs."""
    lag = Lag()
    checks = ["tests.support.site.checks.Counting", ["tests.support.site.checks.Hang", {"timeout": 1}]]
    site = Site(folder=tmp_path, checks=checks, max_age=MAX_AGE, health_check={"SCHEDULER": True})
    with under_gevent(site) as server, lag.measured():
        assert get(f"{server.url}/health/").status == 500
        before = len(noted_runs(tmp_path, "Counting"))
        eventually(lambda: len(noted_runs(tmp_path, "Counting")) >= before + 3, what="runs without requests")
        ask_site(server)
        code, seconds = server.stop()
        assert code == 0
        assert seconds < 5 + lag.slack < STOP_SECONDS
