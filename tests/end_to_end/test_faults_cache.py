"""A cache that is killed, emptied or paused: health answers go on, and what was counted meanwhile is not lost."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest

from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.observer import MAX_AGE, Observer
from tests.support.repetitions import long
from tests.support.servers import site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

WORKERS = 2
LABELS = ["Counting", "Flip"]

NOTICED_SECONDS = 2.0
"""How soon all processes say that the cache cannot be used: they look every second."""

PAUSED_SECONDS = 3.0
WINDOW_SECONDS = 2 * MAX_AGE

Starter = Callable[..., AbstractContextManager[CacheServer]]
Client = tuple[Starter, Mapping[str, object]]

HIDING = {"IGNORE_EXCEPTIONS": True, "SOCKET_TIMEOUT": 0.1, "SOCKET_CONNECT_TIMEOUT": 0.1}

CLIENTS: dict[str, Client] = {
    "redis": (redis_server, {}),
    "redis_with_timeout": (redis_server, {"OPTIONS": {"socket_timeout": 0.2}}),
    "memcached": (memcached_server, {}),
    # As sites have it that prefer a slow page to an error: https://github.com/jazzband/django-redis#memcached-exceptions-behavior
    "redis_that_hides_errors": (redis_server, {"BACKEND": "django_redis.cache.RedisCache", "OPTIONS": HIDING}),
}
"""How a site reaches its cache: Django's Redis client waits without end unless it is told otherwise."""


@contextlib.contextmanager
def observed(folder: pathlib.Path, cache: CacheServer, options: Mapping[str, object]) -> Iterator[Observer]:
    """Yield a client of a site of several processes whose records are in a cache."""
    site = Site(
        folder=folder,
        checks=[f"tests.support.site.checks.{label}" for label in LABELS],
        max_age=MAX_AGE,
        caches={"default": cache.configuration(**options)},
        health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}, "SCHEDULER": True},
    )
    with site_under_gunicorn(site, f"--workers={WORKERS}", "--threads=1") as server:
        observer = Observer(server, folder, LABELS)
        with observer.watching():
            observer.learn_what_is_normal()
            yield observer


def assert_outlived(observer: Observer, start: float) -> None:
    """Assert that a site outlived a fault of its cache that began at a moment; its counters go on from then."""
    over = time.monotonic()
    observer.await_shared()
    print(f"shared again after {time.monotonic() - over:.2f} s")
    observer.assert_right(observer.since(start))
    observer.assert_quick(observer.since(start))
    observer.assert_one_truth(WINDOW_SECONDS)
    observer.assert_all_counted(lost=None)
    observer.assert_log(warnings=WORKERS)


def assert_down(observer: Observer, start: float, seconds: float) -> None:
    """Assert that all processes notice that their cache cannot be used, and say so for some seconds."""
    since = observer.await_down()
    print(f"down after {since - start:.2f} s")
    assert since - start < NOTICED_SECONDS + observer.lag.slack
    down = observer.period(max(0.5, start + seconds - since))
    up = [seen for seen in down if seen.store_up or seen.runs]
    assert not up, f"The cache was said to be up: {up}"


@pytest.mark.parametrize(
    "client", [long("redis"), long("redis_with_timeout"), long("memcached"), "redis_that_hides_errors"]
)
def test_killed_cache__is_done_without(tmp_path: pathlib.Path, client: str) -> None:
    """Answers go on, in time and right, from memory; a cache that starts from scratch is shared again."""
    starter, options = CLIENTS[client]
    with starter(tmp_path / "first") as cache, observed(tmp_path, cache, options) as observer:
        start = time.monotonic()
        cache.kill()
        assert_down(observer, start, PAUSED_SECONDS)
        with starter(tmp_path / "second", port=cache.port):
            assert_outlived(observer, start)


@pytest.mark.parametrize(
    "client", ["redis", long("redis_with_timeout"), long("memcached"), long("redis_that_hides_errors")]
)
def test_paused_cache__is_done_without(tmp_path: pathlib.Path, client: str) -> None:
    """Nobody waits for a cache that does not answer; afterwards its counters go on from where they were."""
    starter, options = CLIENTS[client]
    with starter(tmp_path / "cache") as cache, observed(tmp_path, cache, options) as observer:
        start = time.monotonic()
        cache.pause()
        assert_down(observer, start, PAUSED_SECONDS)
        cache.resume()
        assert_outlived(observer, start)
        observer.assert_counters_never_fall()


@pytest.mark.parametrize("client", [long("redis"), "memcached"])
def test_emptied_cache__is_shared_again(tmp_path: pathlib.Path, client: str) -> None:
    """Where somebody else empties the cache, no answer suffers; counters start again at 0."""
    starter, options = CLIENTS[client]
    with starter(tmp_path / "cache") as cache, observed(tmp_path, cache, options) as observer:
        start = time.monotonic()
        empty(cache)
        observer.period(WINDOW_SECONDS)
        assert_outlived(observer, start)


def empty(cache: CacheServer) -> None:
    """Drop all keys of a cache."""
    command = b"FLUSHALL\r\n" if "redis" in cache.location else b"flush_all\r\n"
    with socket.create_connection(("127.0.0.1", cache.port), 10) as connection:
        connection.sendall(command)
        assert connection.recv(64) in (b"+OK\r\n", b"OK\r\n")
