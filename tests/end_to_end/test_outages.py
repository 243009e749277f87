"""Thousands of requests, also while Redis goes up and down and PostgreSQL hangs now and then: nothing grows.

Under ``make test-long`` there are 20,000 requests for each kind of server; ``-s`` shows the figures.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest
import redis as redis_client

from tests.support.caches import CacheServer, redis_server
from tests.support.client import Answer, Lag, eventually, get
from tests.support.databases import PREFIX, database, database_site, make_table
from tests.support.postgres import Postgres, postgres_server
from tests.support.repetitions import LONG, long
from tests.support.servers import Server, site_under_gunicorn, uvicorn
from tests.support.site.configuration import Site
from tests.support.site.views import SECONDS_HEADER

pytestmark = [pytest.mark.server, pytest.mark.timeout(1800)]

REQUESTS = 20_000 if LONG else 600
WARM_UP = 200
CLIENTS = 6
MAX_AGE = 0.3
BUDGET = 1.0
PATIENCE = BUDGET + 0.9
"""How long a reader waits at most: as long as the slowest check may take, and 0.9 s."""

DOWN_SECONDS = UP_SECONDS = 1.0
PAUSE_SECONDS, PAUSE_EVERY = 1.5, 5.0

PATHS = ["/health/?format=json", "/metrics", "/health/", "/health/live/"]
CHECKS = [
    "tests.support.site.checks.Counting",
    "tests.support.site.checks.CountingAsync",
    "health_check.Database",
]
SERVERS: dict[str, Sequence[str]] = {
    "sync": ["--workers=2", "--threads=1"],
    "gthread": ["--workers=2", "--threads=4"],
    "gevent": ["--workers=2", "--worker-class=gevent"],
}

NOISE = {"threads": 4, "descriptors": 6, "connections": 3, "megabytes": 12}
"""By how much each may be more afterwards: which process runs a check, on how many threads, is decided by lot."""

MEASURES: dict[str, Callable[[psutil.Process], float]] = {
    "threads": lambda process: process.num_threads(),
    "descriptors": lambda process: process.num_fds(),
    "SQLite's": lambda process: sum(".sqlite3" in file.path for file in process.open_files()),
    "connections": lambda process: len(process.net_connections()),
    "megabytes": lambda process: process.memory_info().rss / 2**20,
}


@contextlib.contextmanager
def outages(redis: CacheServer, postgres: Postgres) -> Iterator[None]:
    """Have Redis go down and up each second, and PostgreSQL be paused now and then; both are up in the end."""
    done = threading.Event()

    def restart() -> None:
        while not done.wait(UP_SECONDS):
            redis.kill()
            done.wait(DOWN_SECONDS)
            redis.start()

    def pause() -> None:
        while not done.is_set():
            postgres.pause()
            done.wait(PAUSE_SECONDS)
            postgres.resume()
            done.wait(PAUSE_EVERY)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(restart), pool.submit(pause)]
        try:
            yield
        finally:
            done.set()
    for each in both:
        each.result()


def test_requests__let_nothing_grow(tmp_path: pathlib.Path) -> None:
    """After many requests each process has the threads, files, connections and memory it had after the first."""
    site = Site(folder=tmp_path, checks=CHECKS, max_age=MAX_AGE)
    with site_under_gunicorn(site, *SERVERS["sync"]) as server:
        list(asked(server, WARM_UP))
        before = figures_of(server)
        answers = list(asked(server, REQUESTS))
        assert_no_more(before, figures_of(server))
    assert {answer.status for _, answer in answers} == {200}


@pytest.mark.parametrize("kind", [long("sync"), "gthread", long("gevent"), long("uvicorn")])
def test_outages__nothing_grows_and_nobody_waits_long(kind: str, tmp_path: pathlib.Path) -> None:
    """What is well is 200 all the while, no answer takes longer than the patience, and nothing is left of it."""
    lag = Lag()
    with postgres_server() as postgres, redis_server(tmp_path / "redis") as redis:
        make_table(postgres)
        site = database_site(
            folder=tmp_path,
            checks=CHECKS,
            max_age=MAX_AGE,
            databases={"default": database(postgres, "default")},
            caches={"default": redis.configuration()},
            health_check={
                "TIMEOUT": BUDGET,
                "STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"},
                "DURATION_BUCKETS": [0.1, 1.0],
            },
        )
        with (
            uvicorn(site.folder, site.environment()) if kind == "uvicorn" else site_under_gunicorn(site, *SERVERS[kind])
        ) as server:

            def figures() -> dict[str, float]:
                sessions = float(len(postgres.sessions(PREFIX)))
                return {**figures_of(server), "postgres": sessions, **figures_of_redis(redis)}

            list(asked(server, WARM_UP))
            before, keys = figures(), keys_of(redis)
            with lag.measured(), outages(redis, postgres):
                answers = list(asked(server, REQUESTS))
            eventually(lambda: is_settled(server), what="a site that has its store back")
            list(asked(server, WARM_UP))
            assert keys_of(redis) == keys
            assert_no_more(before, figures())
            assert "Traceback" not in server.output()

    slowest = max(float(answer.headers[SECONDS_HEADER]) for _, answer in answers)
    print(f"{kind}: the slowest answer took {slowest:.3f} s")
    assert wrong_answers(answers) == []
    assert slowest <= PATIENCE + lag.slack


def asked(server: Server, requests: int) -> Iterator[tuple[str, Answer]]:
    """Ask for all kinds of pages, each on a connection of its own, and yield path and answer."""

    def ask(path: str) -> tuple[str, Answer]:
        return path, get(server.url + path)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        yield from pool.map(ask, itertools.islice(itertools.cycle(PATHS), requests))


def wrong_answers(answers: Sequence[tuple[str, Answer]]) -> list[str]:
    """Return the answers that are not right: only ``Database`` may fail."""
    wrong = []
    for path, answer in answers:
        if path.endswith("json"):
            health = json.loads(answer.body)
            failing = {label for label, text in health.items() if text != "OK"}
            is_right = failing <= {"Database"} and answer.status == (500 if failing else 200)
        else:
            is_right = answer.status == 200 or (path == "/health/" and answer.status == 500)
        if not is_right:
            wrong.append(f"{path} {answer.status} {answer.body[:200]}")
    return wrong


def is_settled(server: Server) -> bool:
    """Tell whether all is well again, in whichever process answers."""
    answers = [get(server.url + path) for path in PATHS for _ in range(8)]
    scraped = [answer.body for answer in answers if "django_health_check_store_up" in answer.body]
    return {answer.status for answer in answers} == {200} and all("store_up 1.0" in body for body in scraped)


def figures_of(server: Server) -> dict[str, float]:
    """Return what the site's processes use when they are idle: the least of several looks, as checks go on."""
    parent = psutil.Process(server.process.pid)
    looks = []
    for _ in range(10):
        processes = parent.children() or [parent]
        looks.append({name: max(map(measure, processes)) for name, measure in MEASURES.items()})
        time.sleep(0.1)
    return {name: min(look[name] for look in looks) for name in MEASURES}


def figures_of_redis(redis: CacheServer) -> dict[str, float]:
    """Return how many connections Redis has, and how many keys."""
    with contextlib.closing(redis_client.Redis(port=redis.port)) as client:
        connected = client.info("clients")
    assert isinstance(connected, dict)
    return {"redis": connected["connected_clients"] - 1.0, "keys": float(len(keys_of(redis)))}


def keys_of(redis: CacheServer) -> list[str]:
    """Return the keys in Redis, but for those of leases, which come and go."""
    with contextlib.closing(redis_client.Redis(port=redis.port, decode_responses=True)) as client:
        return sorted(key for key in client.scan_iter() if ":lease:" not in key)


def assert_no_more(before: dict[str, float], after: dict[str, float]) -> None:
    """Assert that nothing has become more, but for noise."""
    for name, value in before.items():
        print(f"{name:12} before {value:.0f}, after {after[name]:.0f}")
    assert {name: value for name, value in after.items() if value > before[name] + NOISE.get(name, 0)} == {}
