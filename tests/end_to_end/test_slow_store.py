"""A store that is slow, or a process that is busy: neither is taken for a store that is gone."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.caches import CacheServer, redis_server
from tests.support.client import get
from tests.support.delays import delayed
from tests.support.repetitions import LONG, long
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

OBSERVED_SECONDS = 8.0 if LONG else 4.0
MAX_AGE = 1.0
RUNS = re.compile(r'^django_health_check_runs_total\{check="(\w+)",outcome="ok"\} (\S+)$', re.MULTILINE)


def site_of(folder: pathlib.Path, *checks: object, cache: CacheServer | None = None, port: int = 0) -> Site:
    """Return a site with some checks, with its records in a cache if there is one."""
    if cache is None:
        return Site(folder=folder, checks=list(checks), max_age=MAX_AGE)
    location = cache.location.replace(str(cache.port), str(port or cache.port))
    return Site(
        folder=folder,
        checks=list(checks),
        max_age=MAX_AGE,
        caches={"default": {"BACKEND": cache.backend, "LOCATION": location}},
        health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scrape:
    """What one scrape said."""

    seconds: float
    """How long it took."""
    up: bool
    """Whether the store was up."""
    runs: dict[str, float]
    """The counters, by label."""


def scrape(server: Server) -> Scrape:
    """Scrape once."""
    began = time.monotonic()
    body = get(f"{server.url}/metrics").body
    return Scrape(
        seconds=time.monotonic() - began,
        up="django_health_check_store_up 1.0" in body,
        runs={label: float(count) for label, count in RUNS.findall(body)},
    )


def scrapes_of(server: Server) -> list[Scrape]:
    """Scrape for some seconds."""
    end = time.monotonic() + OBSERVED_SECONDS
    found = []
    while time.monotonic() < end:
        found.append(scrape(server))
        time.sleep(0.05)
    return found


def assert_store_is_there(scrapes: list[Scrape]) -> None:
    """Assert that the store was up in all scrapes, with counters that never go back."""
    print(f"{len(scrapes)} scrapes, slowest {max(one.seconds for one in scrapes):.3f} s")
    assert [one for one in scrapes if not one.up] == []
    for label in scrapes[-1].runs:
        counts = [one.runs[label] for one in scrapes if label in one.runs]
        assert len(counts) >= 0.5 * len(scrapes), "but for those of a start on a loaded machine"
        assert counts == sorted(counts)


@pytest.mark.parametrize("store", ["file", "redis"])
def test_busy_process__its_store_is_there(tmp_path: pathlib.Path, store: str) -> None:
    """Four threads that compute all the time do not make a process take its store for lost."""
    checks = [["tests.support.site.checks.OneOfMany", {"name": f"Number{n}", "number": n}] for n in range(6)]
    with redis_server(tmp_path / "redis") as redis:
        site = site_of(tmp_path, *checks, cache=redis if store == "redis" else None)
        with site_under_gunicorn(site) as server, ThreadPoolExecutor(4) as pool:
            busy = [pool.submit(get, f"{server.url}/compute/?seconds={OBSERVED_SECONDS}") for _ in range(4)]
            assert_store_is_there(scrapes_of(server))
            assert {one.result().status for one in busy} == {200}
            assert "cannot be used" not in server.output()


def test_distant_redis__is_slow_and_not_lost(tmp_path: pathlib.Path) -> None:
    """With round trips of 70 ms the store is up, and a check of the fleet runs once for all in each of its ages."""
    checks = ["tests.support.site.checks.FleetFlip", "tests.support.site.checks.Counting"]
    with redis_server(tmp_path / "redis") as redis, delayed(redis.port, 0.07) as port:
        site = site_of(tmp_path, *checks, cache=redis, port=port)
        with site_under_gunicorn(site, "--workers=3", "--threads=2") as server:
            began = time.monotonic()
            scrapes = scrapes_of(server)
            seconds = time.monotonic() - began
            assert "cannot be used" not in server.output()
    assert [one for one in scrapes if not one.up] == []
    runs = len(noted_runs(tmp_path, "FleetFlip"))
    print(f"{len(scrapes)} scrapes, {runs} runs in {seconds:.1f} s")
    assert runs <= seconds / MAX_AGE + 4, "one for each worker at its start, and one in each age"


@pytest.mark.parametrize("store", ["file", long("redis")])
def test_many_checks__their_store_is_there(tmp_path: pathlib.Path, store: str) -> None:
    """800 checks in one answer do not make a store look lost."""
    checks = [["tests.support.site.checks.OneOfMany", {"name": f"Number{n}", "number": n}] for n in range(800)]
    with redis_server(tmp_path / "redis") as redis:
        site = site_of(tmp_path, *checks, cache=redis if store == "redis" else None)
        with site_under_gunicorn(site) as server:
            pages = [get(f"{server.url}/health/", format="html").status for _ in range(3)]
            scrapes = scrapes_of(server)
            assert pages == [200] * 3
            assert "cannot be used" not in server.output()
    assert [one for one in scrapes if not one.up] == []
