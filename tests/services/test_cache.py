"""The check of a Django cache, with a real Redis and a real Memcached."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest
import redis
from pytest_django import Settings

from health_check import Cache
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.checked import BUDGET_SECONDS, errors_of

pytestmark = pytest.mark.server

WRITE = "unavailable: cannot write to the cache ("


@pytest.fixture(params=[redis_server, memcached_server])
def service(tmp_path: pathlib.Path, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A cache of each kind, and the check of it."""
    with request.param(tmp_path) as server:
        settings.CACHES = {"default": server.configuration()}
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


@pytest.mark.parametrize(
    ("command", "undo", "error"),
    [
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", f"{WRITE}ReadOnlyError)"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", f"{WRITE}OutOfMemoryError)"),
        ("ACL SETUSER default -get", "ACL SETUSER default +get", "unavailable: cannot read from the cache ("),
        ("ACL SETUSER default >planted-right", "ACL SETUSER default nopass", f"{WRITE}AuthenticationError)"),
        ("CONFIG SET maxclients 1", "CONFIG SET maxclients 100", WRITE),
    ],
    ids=["read-only", "full", "no-right-to-read", "wrong-password", "out-of-connections"],
)
def test_check__refused(tmp_path: pathlib.Path, settings: Settings, command: str, undo: str, error: str) -> None:
    """A server that lets nobody in, takes no value, or gives none, is told with the step that failed, until it does."""
    with redis_server(tmp_path) as server, redis.Redis(port=server.port) as client:
        location = server.location.replace("://", "://default:planted-wrong@")
        settings.CACHES = {"default": server.configuration(LOCATION=location)}
        client.execute_command(*command.split())
        [told] = errors_of(Cache(timeout=BUDGET_SECONDS))
        client.execute_command(*undo.split())
        assert told.startswith(error)
        assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
