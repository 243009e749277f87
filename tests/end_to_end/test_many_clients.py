"""One run, however many ask."""

from __future__ import annotations

import itertools
import pathlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Answer, get
from tests.support.servers import site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 1.0
CLIENTS = 20


def test_many_clients__cause_one_run_per_max_age(tmp_path: pathlib.Path) -> None:
    """Twenty clients at once, on the page and on the metrics, run each check once per max_age."""
    names = ["Counting", "CountingAsync", "Slow"]
    site = Site(folder=tmp_path, checks=[f"tests.support.site.checks.{name}" for name in names], max_age=MAX_AGE)
    with site_under_gunicorn(site) as server:
        paths = itertools.cycle(["/health/?format=json", "/metrics", "/health/?format=health%2Bjson", "/health/"])
        urls = [server.url + path for path in itertools.islice(paths, CLIENTS)]
        start = time.monotonic()
        answers = ask_until(urls, start + 3.5 * MAX_AGE)
        elapsed = time.monotonic() - start

    assert {answer.status for answer in answers} == {200}
    for name in names:
        runs = noted_runs(site.folder, name)
        assert len(runs) > 1, f"{name} was not run again when its result was old"
        assert min(gaps(runs)) >= MAX_AGE, f"{name} was run again too soon"
        assert len(runs) <= elapsed / MAX_AGE + 1


def ask_until(urls: list[str], until: float) -> list[Answer]:
    """Ask for each URL again and again until then, all beginning at the same moment."""
    together = threading.Barrier(len(urls))

    def ask(url: str) -> list[Answer]:
        together.wait()
        answers = [get(url)]
        while time.monotonic() < until:
            answers.append(get(url))
        return answers

    with ThreadPoolExecutor(len(urls)) as pool:
        return [answer for answers in pool.map(ask, urls) for answer in answers]
