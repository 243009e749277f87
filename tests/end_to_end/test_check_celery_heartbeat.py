"""The heartbeat of Celery: a scheduler, a worker, a broker and a cache."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from health_check.contrib.celery import Heartbeat
from tests.caches import CacheServer, redis_server
from tests.end_to_end.checked import errors_of
from tests.end_to_end.client import eventually
from tests.workers import beat, paused, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

MAX_SILENCE = 3.0
"""The most that is allowed between two heartbeats, of which there are two a second."""

SOON_SECONDS = 30.0
"""How long it may take until a change shows."""


@pytest.fixture
def cache(tmp_path: pathlib.Path, settings: Settings) -> Iterator[CacheServer]:
    """The site's cache, a Redis, which is also its broker."""
    with redis_server(tmp_path / "cache") as server:
        settings.CACHES = {"default": server.configuration()}
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
    assert error.startswith("unavailable: the task health_check.contrib.celery.beat has not run")
    with worker(tmp_path, cache.location, "orders") as doing, beat(tmp_path, cache.location) as sending:
        await_heartbeat()
        for process in (doing, sending):
            with paused(process):
                eventually(old, what="an old heartbeat", seconds=SOON_SECONDS)
            await_heartbeat()
        [error] = found("celery")
        assert error.startswith("unavailable: the task health_check.contrib.celery.beat has not run")
    eventually(old, what="an old heartbeat", seconds=SOON_SECONDS)


def test_heartbeat__cache_gone(cache: CacheServer) -> None:
    """A cache that is gone is told as such."""
    cache.kill()
    assert found() == ["unavailable: cannot read the heartbeat from the cache (ConnectionError)"]
