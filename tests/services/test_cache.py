"""The check of a Django cache, with a real Redis and a real Memcached."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pytest_django import Settings

from health_check import Cache
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.checked import BUDGET_SECONDS, errors_of

pytestmark = pytest.mark.server

WRITE = "unavailable: cannot write to the cache ("


def configure(settings: Settings, server: CacheServer, **options: Any) -> None:
    """Let a server be the site's cache."""
    settings.CACHES = {"default": server.configuration(**options)}


@pytest.fixture
def server(tmp_path: pathlib.Path, settings: Settings) -> Iterator[CacheServer]:
    """A Redis, which is the site's cache."""
    with redis_server(tmp_path) as server:
        configure(settings, server)
        yield server


@pytest.fixture(params=[redis_server, memcached_server])
def service(tmp_path: pathlib.Path, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A cache of each kind, and the check of it."""
    with request.param(tmp_path) as server:
        configure(settings, server)
        yield Service(
            server=server,
            build=lambda: Cache(timeout=BUDGET_SECONDS),
            silent=re.escape(WRITE) + ".*|.*did not return the value.*",
            gone=re.escape(WRITE) + ".*",
            left=lambda: {"keys": keys_of(server)},
        )


def keys_of(server: CacheServer) -> int:
    """Return how many keys there are in a Redis."""
    if not server.location.startswith("redis"):
        return 0
    with redis.Redis(port=server.port) as client:
        return len(client.keys())


class TestContract(Contract):
    """The check of a Django cache."""


def test_check__wrong_password(server: CacheServer, settings: Settings) -> None:
    """A login that is refused is told, without the password."""
    location = server.location.replace("://", "://:planted-wrong@")
    configure(settings, server, LOCATION=location)
    with redis.Redis(port=server.port) as client:
        client.config_set("requirepass", "planted-right")
    assert errors_of(Cache(timeout=BUDGET_SECONDS)) == [f"{WRITE}AuthenticationError)"]


@pytest.mark.parametrize(
    ("commands", "undo", "error"),
    [
        (["REPLICAOF 127.0.0.1 1"], "REPLICAOF NO ONE", f"{WRITE}ReadOnlyError)"),
        (["CONFIG SET maxmemory 1"], "CONFIG SET maxmemory 0", f"{WRITE}OutOfMemoryError)"),
        (["ACL SETUSER default -get"], "ACL SETUSER default +get", "unavailable: cannot read from the cache ("),
    ],
    ids=["read-only", "full", "no-right-to-read"],
)
def test_check__refused(server: CacheServer, commands: list[str], undo: str, error: str) -> None:
    """A server that takes no value, or gives none, is told with the step that failed, until it does."""
    with redis.Redis(port=server.port) as client:
        for command in commands:
            client.execute_command(*command.split())
        [told] = errors_of(Cache(timeout=BUDGET_SECONDS))
        client.execute_command(*undo.split())
    assert told.startswith(error)
    assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []


def test_check__out_of_connections(server: CacheServer) -> None:
    """A server without a connection left is told, until there is one."""
    with redis.Redis(port=server.port) as client:
        client.config_set("maxclients", 1)
        try:
            [error] = errors_of(Cache(timeout=BUDGET_SECONDS))
        finally:
            client.config_set("maxclients", 100)
    assert error.startswith(WRITE)
    assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
