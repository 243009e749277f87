"""The check of Redis, against a real one."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from health_check.contrib.redis import Redis
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, errors_of

pytestmark = pytest.mark.server

PASSWORD = "planted-password-7d1f"
WRONG = "planted-wrong-2c9a"

Build = Callable[..., Redis]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis that wants a password."""
    with redis_server(tmp_path_factory.mktemp("redis"), "--requirepass", PASSWORD) as server:
        yield server


def check_of(server: CacheServer, *, password: str = PASSWORD) -> Redis:
    """Return a check by URL."""
    return Redis(f"redis://:{password}@127.0.0.1:{server.port}/0", timeout=BUDGET_SECONDS)


def asynchronous_check_of(server: CacheServer, *, password: str = PASSWORD) -> Redis:
    """Return a check by a factory of asynchronous clients."""
    client = functools.partial(redis.asyncio.Redis, port=server.port, password=password)
    return Redis(client_factory=client, timeout=BUDGET_SECONDS)


KINDS = pytest.mark.parametrize("build", [check_of, asynchronous_check_of])


@contextlib.contextmanager
def client_of(server: CacheServer) -> Iterator[Any]:
    """Yield a client of the test's own."""
    with redis.Redis(port=server.port, password=PASSWORD, decode_responses=True) as client:
        yield client


@pytest.fixture(params=[check_of, asynchronous_check_of])
def service(server: CacheServer, request: pytest.FixtureRequest) -> Service:
    """Redis, and the check of it, with each kind of client."""

    def left() -> dict[str, int]:
        with client_of(server) as client:
            return {"keys": client.dbsize(), "clients": len(client.client_list())}

    return Service(
        server=server,
        build=lambda: request.param(server),
        failing=lambda: request.param(server, password=WRONG),
        silent="unavailable: Redis did not answer in time",
        gone=r"unavailable: cannot connect to Redis \(ConnectionError\)",
        left=left,
    )


class TestContract(Contract):
    """The check of a Redis."""


@KINDS
def test_check__refused_or_not(server: CacheServer, build: Build) -> None:
    """A server that refuses a login, or one more connection, is told; one that is full is in order."""
    assert errors_of(build(server, password=WRONG)) == ["unavailable: the login to Redis was refused"]
    with client_of(server) as client:
        client.config_set("maxclients", 1)
        try:
            [error] = errors_of(build(server))
        finally:
            client.config_set("maxclients", 100)
        assert error.startswith("unavailable: cannot connect to Redis (")
        client.config_set("maxmemory", "1mb")  # the check of the cache is the one that writes
        try:
            assert errors_of(build(server)) == []
        finally:
            client.config_set("maxmemory", 0)


def test_check__users(server: CacheServer) -> None:
    """A URL without login is told as one that is refused; a user who may not even PING, as an unexpected answer."""
    check = Redis(f"redis://127.0.0.1:{server.port}/0")
    assert errors_of(check) == ["unavailable: the login to Redis was refused"]
    with client_of(server) as client:
        client.execute_command("ACL", "SETUSER", "probe", "on", f">{PASSWORD}", "+hello", "+client")
        check = Redis(f"redis://probe:{PASSWORD}@127.0.0.1:{server.port}/0")
        assert errors_of(check) == ["unexpected result: Redis refused PING (NoPermissionError)"]
        client.execute_command("ACL", "SETUSER", "probe", "+ping")
        assert errors_of(check) == []
