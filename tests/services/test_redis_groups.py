"""The check of Redis, against a master with a replica and a Sentinel, and against a cluster."""

from __future__ import annotations

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
from tests.support.caches import CacheServer
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.redis_groups import SERVICE, Watched, redis_cluster, watched_redis
from tests.support.workers import paused

pytestmark = pytest.mark.server

TIMEOUTS = {"socket_timeout": BUDGET_SECONDS / 2, "socket_connect_timeout": BUDGET_SECONDS / 2}

WRONG = {"username": "shopkeeper", "password": "planted-wrong-2c9a"}
"""A login that no server knows."""

REFUSED = ["unavailable: the login to Redis was refused"]


@pytest.fixture
def watched(tmp_path: pathlib.Path) -> Iterator[Watched]:
    """A master, a replica and a Sentinel."""
    with watched_redis(tmp_path) as watched:
        yield watched


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CacheServer]]:
    """The masters of a cluster."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def by_sentinel(sentinel: type[Any], watched: Watched, login: Mapping[str, str] | None = None, **options: Any) -> Redis:
    """Return a check of the master that a Sentinel knows.

    Args:
        sentinel: The class of the client.
        watched: The servers.
        login: The login to the master; default none.
        options: More options for the Sentinel's client.
    """
    places = [("127.0.0.1", watched.port)]
    return Redis(
        client_factory=lambda: sentinel(places, **options, **TIMEOUTS).master_for(SERVICE, **(login or {}), **TIMEOUTS),
        timeout=BUDGET_SECONDS,
    )


def of_cluster(client: Callable[..., Any], nodes: list[CacheServer], **options: Any) -> Redis:
    """Return a check of a cluster."""
    return Redis(
        client_factory=lambda: client(host="127.0.0.1", port=nodes[0].port, **options, **TIMEOUTS),
        timeout=BUDGET_SECONDS,
    )


SENTINELS = pytest.mark.parametrize("sentinel", [Sentinel, AsynchronousSentinel], ids=["sync", "async"])
CLUSTERS = pytest.mark.parametrize("client", [redis.RedisCluster, redis.asyncio.RedisCluster], ids=["sync", "async"])


@SENTINELS
def test_sentinel__replica_takes_over(watched: Watched, sentinel: type[Any]) -> None:
    """A master that is gone is told, until its replica is the master."""
    check = by_sentinel(sentinel, watched)
    assert errors_of(check) == []
    watched.master.kill()
    [error] = errors_of(check)
    assert error.startswith("unavailable: cannot connect to Redis (")
    eventually(lambda: errors_of(check) == [], what="a new master")


@SENTINELS
def test_sentinel__paused_and_gone(watched: Watched, sentinel: type[Any]) -> None:
    """A Sentinel that does nothing, or is gone, is told in time, though its client has no timeout and tries again."""
    check = Redis(
        client_factory=lambda: sentinel([("127.0.0.1", watched.port)]).master_for(SERVICE), timeout=BUDGET_SECONDS
    )
    assert errors_of(check) == []
    with paused(watched.sentinel):
        [error] = errors_of(check)
        assert error.startswith("unavailable: ")
    eventually(lambda: errors_of(check) == [], what="a Sentinel that goes on")
    watched.sentinel.process.kill()
    watched.sentinel.process.wait()
    [error] = errors_of(check)
    assert error.startswith("unavailable: cannot connect to Redis (")


@SENTINELS
def test_sentinel__wrong_password(watched: Watched, sentinel: type[Any]) -> None:
    """A login that is refused is told, be it by the master or by the Sentinel, and none of its words."""
    assert errors_of(by_sentinel(sentinel, watched, WRONG)) == REFUSED
    assert errors_of(by_sentinel(sentinel, watched, sentinel_kwargs={**WRONG, **TIMEOUTS})) == REFUSED
    assert errors_of(by_sentinel(sentinel, watched)) == []


@SENTINELS
def test_sentinel__leaves_nothing(watched: Watched, sentinel: type[Any]) -> None:
    """Neither the connections to the Sentinel nor those to the master outlive a run."""
    assert errors_of(by_sentinel(sentinel, watched)) == []
    with nothing_left():
        for _ in range(RUNS):
            assert errors_of(by_sentinel(sentinel, watched)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@CLUSTERS
def test_cluster__every_master_has_to_answer(nodes: list[CacheServer], client: Callable[..., Any]) -> None:
    """A master that does nothing is told, whichever of them it is."""
    assert errors_of(of_cluster(client, nodes)) == []
    nodes[1].pause()
    try:
        assert errors_of(of_cluster(client, nodes)) == ["unavailable: Redis did not answer in time"]
    finally:
        nodes[1].resume()
    eventually(lambda: errors_of(of_cluster(client, nodes)) == [], what="a cluster in order")
    gc.collect()  # the asynchronous client forgets to close a node that does not answer, which is closed here at last


@CLUSTERS
def test_cluster__wrong_password(nodes: list[CacheServer], client: Callable[..., Any]) -> None:
    """A login that is refused is told, and none of its words."""
    assert errors_of(of_cluster(client, nodes, **WRONG)) == REFUSED
    assert errors_of(of_cluster(client, nodes)) == []


@CLUSTERS
def test_cluster__gone(client: Callable[..., Any], tmp_path: pathlib.Path) -> None:
    """A cluster of which no node is there is told at once."""
    with redis_cluster(tmp_path) as nodes:
        for node in nodes:
            node.kill()
        [error] = errors_of(of_cluster(client, nodes))
    assert error.startswith("unavailable: cannot connect to Redis (")


@CLUSTERS
def test_cluster__leaves_nothing(nodes: list[CacheServer], client: Callable[..., Any]) -> None:
    """No connection to any node outlives a run."""
    assert errors_of(of_cluster(client, nodes)) == []
    with nothing_left():
        for _ in range(RUNS):
            assert errors_of(of_cluster(client, nodes)) == []
