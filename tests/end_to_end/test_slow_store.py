"""A store that is slow, a process that is busy, or more checks than threads: none is taken for a failure."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.caches import redis_server
from tests.support.client import Answer, get
from tests.support.delays import delayed
from tests.support.repetitions import LONG, long, times
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

SECONDS = 8.0 if LONG else 4.0
MAX_AGE = 1.0

PATIENT = {"WAIT": 60.0, "SCRAPE_WAIT": 60.0, "TIMEOUT": 60.0}
"""Settings with which a scrape waits for the store and for runs, on however slow a machine."""


@contextlib.contextmanager
def serving(
    folder: pathlib.Path, checks: list[Any], *arguments: str, store: str, delay: float = 0, **more: Any
) -> Iterator[Server]:
    """Serve a site with its records in the default file, or in a Redis that is so many seconds away."""
    site = Site(folder=folder, checks=checks, max_age=MAX_AGE, health_check=more)
    with contextlib.ExitStack() as stack:
        if store == "redis":
            redis = stack.enter_context(redis_server(folder / "redis"))
            port = stack.enter_context(delayed(redis.port, delay)) if delay else redis.port
            location = redis.location.replace(str(redis.port), str(port))
            kept = {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}
            site = dataclasses.replace(
                site,
                caches={"default": {"BACKEND": redis.backend, "LOCATION": location}},
                health_check={**more, "STORE": kept},
            )
        server = stack.enter_context(site_under_gunicorn(site, *arguments))
        yield server
        assert "cannot be used" not in server.output() or is_starved()


def is_starved() -> bool:
    """Return whether programs wait for a processor for so long that it looks as if the store did not answer."""
    return os.getloadavg()[0] > 4 * (os.cpu_count() or 1)  # all tests at once make it 3


def many(number: int, **options: Any) -> list[Any]:
    """Return so many checks."""
    return [["tests.support.site.checks.OneOfMany", {"number": index, **options}] for index in range(number)]


def scraped(server: Server, counters: dict[str, float]) -> int:
    """Scrape once, and assert that the store is up and no counter went back; return how many counters there were."""
    page = get(f"{server.url}/metrics", scope="health").body
    assert re.search(r"^django_health_check_store_up 1\.0$", page, re.MULTILINE) or is_starved()
    found = re.findall(r"^django_health_check_runs_total\{(.*)\} (\S+)$", page, re.MULTILINE)
    assert [labels for labels, value in found if float(value) < counters.get(labels, 0)] == []
    counters |= {labels: float(value) for labels, value in found}
    return len(found)


@pytest.mark.parametrize("store", ["file", long("redis")])
def test_busy_process__its_store_is_there(tmp_path: pathlib.Path, store: str) -> None:
    """Four threads that compute all the time do not make a process take its store for lost."""
    with serving(tmp_path, many(6), store=store) as server, ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(get, f"{server.url}/compute/?seconds={SECONDS}") for _ in range(4)]
        end, counters = time.monotonic() + SECONDS, dict[str, float]()
        while time.monotonic() < end or len(counters) < 4 * 6:
            scraped(server, counters)
            time.sleep(0.05)
        assert {one.result().status for one in busy} == {200}


def test_distant_redis__is_slow_and_not_lost(tmp_path: pathlib.Path) -> None:
    """With round trips of 70 ms the store is up, and a check of the fleet runs once for all in each of its ages."""
    checks = ["tests.support.site.checks.FleetFlip", "tests.support.site.checks.Counting"]
    with serving(tmp_path, checks, "--workers=3", "--threads=2", store="redis", delay=0.07) as server:
        began = time.monotonic()
        while time.monotonic() < began + SECONDS:
            scraped(server, {})
            time.sleep(0.05)
        runs, seconds = len(noted_runs(tmp_path, "FleetFlip")), time.monotonic() - began
    print(f"{runs} runs in {seconds:.1f} s")
    assert runs <= seconds / MAX_AGE + 4, "one for each worker at its start, and one in each age"


@pytest.mark.parametrize("store", ["file", long("redis")])
def test_thousand_checks__have_all_counters(tmp_path: pathlib.Path, store: str) -> None:
    """Each page and scrape, by whichever worker, finds the store up; no counter goes back, and all are there."""
    number = 1000
    with serving(tmp_path, many(number, max_age=4.0), "--workers=2", "--threads=4", store=store, **PATIENT) as server:
        counters: dict[str, float] = {}
        scrapes = complete = 0
        while scrapes < times(16, least=5) or not complete:  # a machine without time to spare may leave some out
            scrapes += 1
            complete += scraped(server, counters) == 4 * number
            time.sleep(1.0)  # some scrapes find fresh results, and others have to wait for runs
        assert sum(counters.values()) > number
        assert get(f"{server.url}/health/", format="html").status == 200


@pytest.mark.parametrize("workers", [long(1), 2])
def test_start__with_300_checks_of_a_second__is_healthy_all_the_time(tmp_path: pathlib.Path, workers: int) -> None:
    """Every answer from the first one on is 200, and says how long it takes until all have run once."""
    needed = "300 checks of 1 s need 10 s, MAX_CONCURRENCY is 32"
    checks = many(300, seconds=1.0, max_age=60.0)
    with serving(tmp_path, checks, f"--workers={workers}", "--threads=4", store="file") as server:
        answers: list[Answer] = []
        end = time.monotonic() + 30.0
        while not answers or len(set(answers[-1].json().values())) > 1 or len(answers) < 5 * workers:
            assert time.monotonic() < end
            answers.append(get(f"{server.url}/health/", format="json"))
    assert {answer.status for answer in answers} == {200}
    assert workers > 1 or f"unavailable: waiting for a free thread: {needed}" in answers[0].json().values()
    assert set(answers[-1].json().values()) == {"OK"}
