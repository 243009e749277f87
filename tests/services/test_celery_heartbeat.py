"""The heartbeat of Celery: a scheduler, a worker, a broker and a cache."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
import redis
from pytest_django import Settings

from health_check.contrib import celery
from health_check.contrib.celery import Heartbeat
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.workers import beat, paused, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

MAX_SILENCE = 3.0
"""The most that is allowed between two heartbeats, of which there are two a second."""

SOON_SECONDS = 30.0
"""How long it may take until a change shows."""


OPTIONS = {"socket_timeout": BUDGET_SECONDS / 2, "socket_connect_timeout": BUDGET_SECONDS / 2}
"""What ends the waiting of the client: the cache is the site's, so the check cannot say."""

UNREADABLE = "unavailable: cannot read the heartbeat from the cache ("

MISSED = "unavailable: the task health_check.contrib.celery.beat has not run"


@pytest.fixture
def cache(tmp_path: pathlib.Path, settings: Settings) -> Iterator[CacheServer]:
    """The site's cache, a Redis, which is also its broker."""
    with redis_server(tmp_path / "cache") as server:
        settings.CACHES = {"default": server.configuration(OPTIONS=OPTIONS)}
        yield server


def found(queue: str = "orders") -> list[str]:
    """Return the errors of the check of a queue's heartbeat."""
    return errors_of(Heartbeat(queue, max_silence=MAX_SILENCE))


def old() -> bool:
    """Whether the last heartbeat is too old."""
    return any(error.startswith("unavailable: the last heartbeat is ") for error in found())


def await_heartbeat() -> None:
    """Wait until there is a new one."""
    eventually(lambda: found() == [], what="a heartbeat", seconds=SOON_SECONDS)


def test_heartbeat__worker_or_scheduler_paused(cache: CacheServer, tmp_path: pathlib.Path) -> None:
    """No work was done yet, then it is; when the worker or the scheduler hangs, that shows, and when it goes on."""
    [error] = found()
    assert error.startswith(MISSED)
    with worker(tmp_path, cache.location, "orders") as doing, beat(tmp_path, cache.location) as sending:
        await_heartbeat()
        for process in (doing, sending):
            with paused(process):
                eventually(old, what="an old heartbeat", seconds=SOON_SECONDS)
            await_heartbeat()
        [error] = found("celery")
        assert error.startswith(MISSED)
    eventually(old, what="an old heartbeat", seconds=SOON_SECONDS)


def beat_once() -> None:
    """Do in this process what the task does in a worker's."""
    celery.beat.run("orders")


def kept() -> list[str]:
    """Return the errors of the check of a heartbeat that does not grow old within the test."""
    return errors_of(Heartbeat("orders"))


def test_heartbeat__cache_paused(cache: CacheServer) -> None:
    """A cache that does nothing is told in time; when it goes on, that is over."""
    beat_once()
    assert kept() == []
    cache.pause()
    try:
        assert kept() == [f"{UNREADABLE}TimeoutError)"]
    finally:
        cache.resume()
    eventually(lambda: kept() == [], what="a heartbeat")


def test_heartbeat__cache_killed_and_started_again(cache: CacheServer, tmp_path: pathlib.Path) -> None:
    """A cache that is gone is told as such; one that is back, and empty, is in order with the next heartbeat."""
    beat_once()
    assert kept() == []
    cache.kill()
    assert kept() == [f"{UNREADABLE}ConnectionError)"]
    with redis_server(tmp_path / "second", port=cache.port):
        [error] = eventually(lambda: [told for told in kept() if UNREADABLE not in told], what="a cache")
        assert error.startswith(MISSED)
        beat_once()
        assert kept() == []


def test_heartbeat__wrong_password(cache: CacheServer, settings: Settings) -> None:
    """A login to the cache that is refused is told, and none of its words."""
    location = cache.location.replace("://", "://:planted-wrong@")
    settings.CACHES = {"default": cache.configuration(LOCATION=location, OPTIONS=OPTIONS)}
    with redis.Redis(port=cache.port) as client:
        client.config_set("requirepass", "planted-right")
        assert kept() == [f"{UNREADABLE}AuthenticationError)"]
        client.config_set("requirepass", "planted-wrong")
        beat_once()
        assert kept() == []


def test_heartbeat__leaves_nothing(cache: CacheServer) -> None:
    """After many runs there is no key, connection, file or thread that was not there before."""
    with redis.Redis(port=cache.port) as client:
        assert errors_of(Heartbeat("mails")) != []
        beat_once()
        keys, clients = client.keys(), len(client.client_list())
        with nothing_left():
            for _ in range(RUNS):
                assert kept() == []
                Heartbeat("mails").run_check()
        assert client.keys() == keys
        assert len(client.client_list()) == clients
