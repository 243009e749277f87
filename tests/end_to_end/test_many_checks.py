"""More checks than threads: what waits for one says so, and is no failure of a process that has just started."""

from __future__ import annotations

import pathlib
import time

import pytest

from tests.support.client import Answer, get
from tests.support.repetitions import long
from tests.support.servers import site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

NUMBER = 300
NEEDED = f"{NUMBER} checks of 1 s need 10 s, MAX_CONCURRENCY is 32"


@pytest.mark.parametrize("workers", [long(1), 2])
def test_start__with_300_checks_of_a_second__is_healthy_all_the_time(tmp_path: pathlib.Path, workers: int) -> None:
    """Every answer from the first one on is 200, and says how long it takes until all have run once."""
    checks = [["tests.support.site.checks.OneOfMany", {"number": n, "seconds": 1.0}] for n in range(NUMBER)]
    site = Site(folder=tmp_path, checks=checks, max_age=60.0)
    with site_under_gunicorn(site, f"--workers={workers}", "--threads=4") as server:
        answers: list[Answer] = []
        end = time.monotonic() + 30.0
        while not answers or len(set(answers[-1].json().values())) > 1 or len(answers) < 5 * workers:
            assert time.monotonic() < end
            answers.append(get(f"{server.url}/health/", format="json"))
    assert {answer.status for answer in answers} == {200}
    assert workers > 1 or f"unavailable: waiting for a free thread: {NEEDED}" in answers[0].json().values()
    assert set(answers[-1].json().values()) == {"OK"}
