"""The check of Redis, against a master with a replica and a Sentinel, and against a cluster."""

from __future__ import annotations

import gc
import pathlib
from collections.abc import Callable, Mapping
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

GONE = "unavailable: cannot connect to Redis ("


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
        assert errors_of(by_sentinel(sentinel, watched, WRONG)) == REFUSED
        assert errors_of(by_sentinel(sentinel, watched, sentinel_kwargs={**WRONG, **TIMEOUTS})) == REFUSED
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
        assert errors_of(of_cluster(client, nodes, **WRONG)) == REFUSED
        with paused(nodes[1]):
            assert errors_of(check) == ["unavailable: Redis did not answer in time"]
        eventually(lambda: errors_of(check) == [], what="a cluster in order")
        for node in nodes:
            node.kill()
        [error] = errors_of(check)
        assert error.startswith(GONE)
    gc.collect()  # the asynchronous client forgets to close a node that does not answer, which is closed here at last
