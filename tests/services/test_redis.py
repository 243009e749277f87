"""The check of Redis, against a real one."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from health_check.contrib.redis import Redis
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually

pytestmark = pytest.mark.server

PASSWORD = "planted-password-7d1f"
NEXT_TO_NOTHING = "1mb"

Build = Callable[[CacheServer], Redis]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis that wants a password."""
    with locked_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextlib.contextmanager
def locked_redis(folder: pathlib.Path, port: int | None = None) -> Iterator[CacheServer]:
    """Run a Redis that wants a password, as soon as it has answered without."""
    with redis_server(folder, port=port) as server:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", PASSWORD)
        yield server


def check_of(server: CacheServer, *, password: str = PASSWORD) -> Redis:
    """Return a check by URL."""
    return Redis(f"redis://:{password}@127.0.0.1:{server.port}/0", timeout=BUDGET_SECONDS)


def asynchronous_check_of(server: CacheServer, *, password: str = PASSWORD) -> Redis:
    """Return a check by a factory of asynchronous clients."""
    return Redis(
        client_factory=lambda: redis.asyncio.Redis(port=server.port, password=password), timeout=BUDGET_SECONDS
    )


KINDS = pytest.mark.parametrize("build", [check_of, asynchronous_check_of])


@contextlib.contextmanager
def client_of(server: CacheServer) -> Iterator[Any]:
    """Yield a client of the test's own."""
    with redis.Redis(port=server.port, password=PASSWORD, decode_responses=True) as client:
        yield client


@KINDS
def test_check__paused_and_on_again(server: CacheServer, build: Build) -> None:
    """A server that does nothing is told in time, and in order again as soon as it goes on."""
    assert errors_of(build(server)) == []
    server.pause()
    try:
        assert errors_of(build(server)) == ["unavailable: Redis did not answer in time"]
    finally:
        server.resume()
    assert errors_of(build(server)) == []


@KINDS
def test_check__wrong_password(server: CacheServer, build: Callable[..., Redis]) -> None:
    """A login that is refused is told, and none of its words."""
    assert errors_of(build(server, password="planted-wrong-2c9a")) == ["unavailable: the login to Redis was refused"]


def test_check__no_password(server: CacheServer) -> None:
    """A server that wants a login where the URL has none is told likewise."""
    check = Redis(f"redis://127.0.0.1:{server.port}/0")
    assert errors_of(check) == ["unavailable: the login to Redis was refused"]


def test_check__user_without_rights(server: CacheServer) -> None:
    """A user who may not even PING is told as an answer that was not expected."""
    with client_of(server) as client:
        client.execute_command("ACL", "SETUSER", "probe", "on", f">{PASSWORD}", "+hello", "+client")
        check = Redis(f"redis://probe:{PASSWORD}@127.0.0.1:{server.port}/0")
        assert errors_of(check) == ["unexpected result: Redis refused PING (NoPermissionError)"]
        client.execute_command("ACL", "SETUSER", "probe", "+ping")
        assert errors_of(check) == []


@KINDS
def test_check__out_of_connections(server: CacheServer, build: Build) -> None:
    """A server without a connection left is told, until there is one."""
    with client_of(server) as client:
        client.config_set("maxclients", 1)
        try:
            [error] = errors_of(build(server))
        finally:
            client.config_set("maxclients", 100)
    assert error.startswith("unavailable: cannot connect to Redis (")
    assert errors_of(build(server)) == []


@KINDS
def test_check__full(server: CacheServer, build: Build) -> None:
    """A server whose memory is full still answers: the check of the cache is the one that writes."""
    with client_of(server) as client:
        client.config_set("maxmemory", NEXT_TO_NOTHING)
        try:
            assert errors_of(build(server)) == []
        finally:
            client.config_set("maxmemory", 0)


@KINDS
def test_check__leaves_nothing(server: CacheServer, build: Callable[..., Redis]) -> None:
    """After many runs, good and bad, there is no key, connection, file or thread that was not there before."""
    assert errors_of(build(server)) == []
    with client_of(server) as client:
        assert client.ping()
        with nothing_left():
            for _ in range(RUNS // 2):
                build(server).run_check()
                build(server, password="planted-wrong-2c9a").run_check()
        assert client.dbsize() == 0
        eventually(lambda: len(client.client_list()) == 1, what="no client but this test's")


@KINDS
def test_check__stopped_and_started_again(tmp_path: pathlib.Path, build: Build) -> None:
    """A server that is gone is told, and in order when it is back."""
    with locked_redis(tmp_path) as server:
        server.kill()
        [error] = errors_of(build(server))
        assert error == "unavailable: cannot connect to Redis (ConnectionError)"
    with locked_redis(tmp_path, port=server.port):
        assert errors_of(build(server)) == []
