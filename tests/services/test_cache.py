"""The check of a Django cache, with a real Redis and a real Memcached."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import redis
from pytest_django import Settings

from health_check import Cache
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually

pytestmark = pytest.mark.server

Serve = Callable[..., AbstractContextManager[CacheServer]]

KINDS = pytest.mark.parametrize(
    ("serve", "kind"), [(redis_server, "redis"), (memcached_server, "memcached")], ids=["redis", "memcached"]
)

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


@KINDS
def test_check__paused_and_on_again(tmp_path: pathlib.Path, settings: Settings, serve: Serve, kind: str) -> None:
    """A server that does nothing is told in time; when it goes on, that is over."""
    with serve(tmp_path) as server:
        configure(settings, server)
        assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
        server.pause()
        try:
            [error] = errors_of(Cache(timeout=BUDGET_SECONDS))
            assert error.startswith(WRITE) or "did not return the value" in error
        finally:
            server.resume()
        eventually(lambda: errors_of(Cache(timeout=BUDGET_SECONDS)) == [], what="a cache in order")


@KINDS
def test_check__killed_and_started_again(tmp_path: pathlib.Path, settings: Settings, serve: Serve, kind: str) -> None:
    """A server that is gone is told at once; when another one is in its place, that is over."""
    with serve(tmp_path / "first") as server:
        configure(settings, server)
        assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
        server.kill()
        [error] = errors_of(Cache(timeout=BUDGET_SECONDS))
        assert error.startswith(WRITE)
    with serve(tmp_path / "second", port=server.port):
        eventually(lambda: errors_of(Cache(timeout=BUDGET_SECONDS)) == [], what="a cache in order")


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


@KINDS
def test_check__leaves_nothing(tmp_path: pathlib.Path, settings: Settings, serve: Serve, kind: str) -> None:
    """After many runs there is no key, connection, file or thread that was not there before."""
    with serve(tmp_path) as server:
        configure(settings, server)
        assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
        with nothing_left():
            for _ in range(RUNS):
                assert errors_of(Cache(timeout=BUDGET_SECONDS)) == []
        if kind == "redis":
            with redis.Redis(port=server.port) as client:
                assert client.keys() == []
