"""The scheduler: runs go on by themselves, once for the host, so that readers find fresh records."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import time

import pytest

from tests.support.client import Answer, Lag, eventually, get, get_at_once
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import Noted, noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

MAX_AGE = 0.6

WORKERS = ("--workers=2", "--threads=1")

LEASE_SECONDS = 5.0 + 0.5 + 2.0
"""How long the lease of a run lasts; nobody has to wait for that where its holder is dead."""


def site_of(folder: pathlib.Path, *checks: object, max_age: float = MAX_AGE) -> Site:
    """Return a site whose workers run checks by themselves."""
    return Site(folder=folder, checks=checks, max_age=max_age, health_check={"SCHEDULER": True})


def await_runs(site: Site, name: str, more: int) -> list[Noted]:
    """Return the runs of a check once there are some more, without any request."""
    wanted = len(noted_runs(site.folder, name)) + more
    eventually(lambda: len(noted_runs(site.folder, name)) >= wanted, what=f"run {wanted} of {name}")
    return noted_runs(site.folder, name)


def start_all(server: Server) -> set[str]:
    """Ask until both workers have answered, which starts their schedulers; return which they are."""
    seen: set[str] = set()

    def both() -> bool:
        answers = get_at_once([f"{server.url}/health/?format=json"] * 4)
        seen.update(answer.headers[PROCESS_HEADER] for answer in answers)
        return len(seen) >= 2

    eventually(both, what="an answer of each worker")
    return seen


def assert_not_too_many(runs: list[Noted], max_age: float) -> None:
    """Check that a check was run no more often than once per max_age, by all processes together."""
    assert len(runs) <= (time.monotonic() - runs[0].started) / max_age + 1


def test_scheduler__runs_go_on_without_requests(tmp_path: pathlib.Path) -> None:
    """After the first request runs go on, once per max_age for the host; what is never fresh is run when read.

    Another process goes on when the one that ran the checks is killed in the middle of a run.
    """
    site = site_of(
        tmp_path, "tests.support.site.checks.Slow", ["tests.support.site.checks.CountingAsync", {"max_age": 0}]
    )
    with site_under_gunicorn(site, *WORKERS) as server:
        assert get(f"{server.url}/health/live/").status == 200
        assert get(f"{server.url}/health/").status == 200
        assert_not_too_many(await_runs(site, "Slow", 3), MAX_AGE)
        assert len(noted_runs(site.folder, "CountingAsync")) == 1

        workers = start_all(server)
        victim = await_runs(site, "Slow", 2)[-1].pid
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()

        def successors() -> set[str]:
            """Return which processes have run the check since."""
            return {str(run.pid) for run in noted_runs(site.folder, "Slow") if run.started > killed} - {str(victim)}

        found = eventually(successors, what="a run in another process", seconds=LEASE_SECONDS + 10)
        assert found == workers - {str(victim)}
        again = await_runs(site, "Slow", 2)[1:]  # all but one, which may have been run again for the one cut off
        assert_not_too_many(again, MAX_AGE)


def test_scheduler__spares_readers_the_wait(tmp_path: pathlib.Path) -> None:
    """Readers of a slow check find records that are fresh, and none has to wait for its run."""
    max_age, lag = 1.5, Lag()
    site = site_of(tmp_path, "tests.support.site.checks.Slow", max_age=max_age)
    with site_under_gunicorn(site, *WORKERS) as server, lag.measured():
        url = f"{server.url}/health/?format=health%2Bjson"
        start_all(server)
        until = time.monotonic() + 3.2 * max_age
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = [answer for found in pool.map(lambda _: ask_until(url, until), range(2)) for answer in found]
        assert_not_too_many(noted_runs(site.folder, "Slow"), max_age)

    runs_shown = {answer.json()["checks"]["Slow"][0]["time"] for answer in answers}
    assert len(runs_shown) >= 3
    assert len(answers) > 20
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < 0.2 + lag.slack


def ask_until(url: str, until: float) -> list[Answer]:
    """Ask again and again until then."""
    answers = []
    while time.monotonic() < until:
        answers.append(get(url))
    return answers
