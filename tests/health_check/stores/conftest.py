"""The places that stores are tested at."""

from __future__ import annotations

import contextlib
import copy
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from health_check.stores.cache import DjangoCacheStore
from health_check.stores.memory import MemoryStore
from health_check.stores.sqlite import SQLiteStore
from tests.settings import DATABASES
from tests.support.bench import MovableClock
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.hosts import SITE
from tests.support.places import Place

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
PLACES = [
    "memory_place",
    "sqlite_place",
    "locmem_place",
    pytest.param("redis_place", marks=pytest.mark.server),
    pytest.param("memcached_place", marks=pytest.mark.server),
]

needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")

CONFIGURED = copy.deepcopy(DATABASES)
"""The databases as they are before Django makes those of tests, which changes their settings."""

UseCache: TypeAlias = "Callable[[dict[str, object]], None]"


@pytest.fixture(autouse=True)
def _configured_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the same site as the processes that tests start, also once another test has had Django make its database."""
    monkeypatch.setattr(connections, "settings", ConnectionHandler(copy.deepcopy(CONFIGURED)).settings)


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis for tests that leave it running."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def memcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Memcached for tests that leave it running."""
    with memcached_server(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture
def use_cache(settings: Settings) -> UseCache:
    """A function that makes this the only cache; its keys are the test's own."""

    def use(configuration: dict[str, object]) -> None:
        settings.CACHES = {"default": {"KEY_PREFIX": secrets.token_hex(4), **configuration}}

    return use


@pytest.fixture
def own_cache(use_cache: UseCache) -> None:
    """A cache in this process's memory that no other test sees."""
    use_cache({"BACKEND": LOCMEM, "LOCATION": secrets.token_hex(8)})


@pytest.fixture
def clock() -> MovableClock:
    """A clock to set forward."""
    return MovableClock()


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """The file of a store, not yet there."""
    return tmp_path / "store.sqlite3"


@pytest.fixture
def memory_place() -> Place:
    """The memory of one process: there is but one store."""
    stores: list[MemoryStore] = []

    def create(clock: MovableClock) -> MemoryStore:
        if not stores:
            stores.append(MemoryStore(clock=clock))
        return stores[0]

    return Place(create_store=create)


@pytest.fixture
def sqlite_place(file: pathlib.Path) -> Iterator[Place]:
    """A file of its own."""
    with contextlib.closing(Place(create_store=lambda clock: SQLiteStore(path=file, clock=clock))) as place:
        yield place


@pytest.fixture
def locmem_place(own_cache: None) -> Iterator[Place]:
    """A Django cache that is a part of this process's memory."""
    with contextlib.closing(cache_place()) as place:
        yield place


@pytest.fixture
def redis_place(redis: CacheServer, use_cache: UseCache) -> Iterator[Place]:
    """A Redis."""
    use_cache(redis.configuration())
    with contextlib.closing(cache_place()) as place:
        yield place


@pytest.fixture
def memcached_place(memcached: CacheServer, use_cache: UseCache) -> Iterator[Place]:
    """A Memcached."""
    use_cache(memcached.configuration())
    with contextlib.closing(cache_place()) as place:
        yield place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each place in turn: what every store promises is tested there."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=PLACES[1:])
def shared_place(request: pytest.FixtureRequest) -> Place:
    """Each place that processes can share."""
    found: Place = request.getfixturevalue(request.param)
    return found


def cache_place() -> Place:
    """Return what is kept in the default cache."""
    return Place(create_store=lambda clock: DjangoCacheStore(site=SITE, host="here", clock=clock))
