"""The check of Redis: a server, a master with a replica and a Sentinel, and a cluster."""

from __future__ import annotations

import contextlib
import functools
import gc
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsynchronousSentinel
from redis.sentinel import Sentinel

from health_check.contrib.redis import Redis
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.redis_groups import SERVICE, Watched, redis_cluster, watched_redis
from tests.support.workers import paused

pytestmark = pytest.mark.server

PASSWORD = "planted-password-7d1f"
WRONG = "planted-wrong-2c9a"

REFUSED = ["unavailable: the login to Redis was refused"]

GONE = "unavailable: cannot connect to Redis ("

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
    assert errors_of(build(server, password=WRONG)) == REFUSED
    with client_of(server) as client:
        client.config_set("maxclients", 1)
        try:
            [error] = errors_of(build(server))
        finally:
            client.config_set("maxclients", 100)
        assert error.startswith(GONE)
        client.config_set("maxmemory", "1mb")  # the check of the cache is the one that writes
        try:
            assert errors_of(build(server)) == []
        finally:
            client.config_set("maxmemory", 0)


def test_check__users(server: CacheServer) -> None:
    """A URL without login is told as one that is refused; a user who may not even PING, as an unexpected answer."""
    check = Redis(f"redis://127.0.0.1:{server.port}/0")
    assert errors_of(check) == REFUSED
    with client_of(server) as client:
        client.execute_command("ACL", "SETUSER", "probe", "on", f">{PASSWORD}", "+hello", "+client")
        check = Redis(f"redis://probe:{PASSWORD}@127.0.0.1:{server.port}/0")
        assert errors_of(check) == ["unexpected result: Redis refused PING (NoPermissionError)"]
        client.execute_command("ACL", "SETUSER", "probe", "+ping")
        assert errors_of(check) == []


TIMEOUTS = {"socket_timeout": BUDGET_SECONDS / 2, "socket_connect_timeout": BUDGET_SECONDS / 2}

NOBODY = {"username": "shopkeeper", "password": WRONG}
"""A login that no server knows."""


def master_by(sentinel: type[Any], watched: Watched, login: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Return the client of the master that a Sentinel knows.

    Args:
        sentinel: The class of the Sentinel's client.
        watched: The servers.
        login: The login to the master, and its timeouts; default none.
        options: Options for the Sentinel's client.
    """
    return sentinel([("127.0.0.1", watched.port)], **options).master_for(SERVICE, **(login or {}))


def by_sentinel(sentinel: type[Any], watched: Watched, login: Mapping[str, Any] | None = None, **options: Any) -> Redis:
    """Return a check of that master, by clients that have timeouts of their own."""
    logins = {**(login or {}), **TIMEOUTS}
    return Redis(
        client_factory=lambda: master_by(sentinel, watched, logins, **options, **TIMEOUTS), timeout=BUDGET_SECONDS
    )


def of_cluster(client: Callable[..., Any], nodes: list[CacheServer], **options: Any) -> Redis:
    """Return a check of a cluster."""
    return Redis(
        client_factory=lambda: client(host="127.0.0.1", port=nodes[0].port, **options, **TIMEOUTS),
        timeout=BUDGET_SECONDS,
    )


@pytest.mark.parametrize("sentinel", [Sentinel, AsynchronousSentinel], ids=["sync", "async"])
def test_sentinel__whatever_happens(tmp_path: pathlib.Path, sentinel: type[Any]) -> None:
    """A master that is gone is told until its replica is the master, and so is a Sentinel that hangs, or is gone."""
    with watched_redis(tmp_path) as watched:
        check = by_sentinel(sentinel, watched)
        patient = Redis(client_factory=lambda: master_by(sentinel, watched), timeout=BUDGET_SECONDS)
        assert errors_of(check) == errors_of(patient) == []
        with nothing_left():
            for _ in range(RUNS // 2):
                check.run_check()
        assert errors_of(by_sentinel(sentinel, watched, NOBODY)) == REFUSED
        assert errors_of(by_sentinel(sentinel, watched, sentinel_kwargs={**NOBODY, **TIMEOUTS})) == REFUSED
        watched.master.kill()
        [error] = errors_of(check)
        assert error.startswith(GONE)
        eventually(lambda: errors_of(check) == [], what="a new master")
        with paused(watched.sentinel):
            [error] = errors_of(patient)
            assert error.startswith("unavailable: ")
        eventually(lambda: errors_of(patient) == [], what="a Sentinel that goes on")
        watched.sentinel.kill()
        [error] = errors_of(patient)
        assert error.startswith(GONE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("client", [redis.RedisCluster, redis.asyncio.RedisCluster], ids=["sync", "async"])
def test_cluster__whatever_happens(tmp_path: pathlib.Path, client: Callable[..., Any]) -> None:
    """A master that does nothing is told, whichever of them it is, and so is a cluster of which no node is there."""
    with redis_cluster(tmp_path) as nodes:
        check = of_cluster(client, nodes)
        assert errors_of(check) == []
        with nothing_left():
            for _ in range(RUNS // 2):
                check.run_check()
        assert errors_of(of_cluster(client, nodes, **NOBODY)) == REFUSED
        with paused(nodes[1]):
            assert errors_of(check) == ["unavailable: Redis did not answer in time"]
        eventually(lambda: errors_of(check) == [], what="a cluster in order")
        for node in nodes:
            node.kill()
        [error] = errors_of(check)
        assert error.startswith(GONE)
    gc.collect()  # the asynchronous client forgets to close a node that does not answer, which is closed here at last
