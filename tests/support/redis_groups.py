"""Groups of Redis servers for tests: a Sentinel that watches a master with a replica, and a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import redis

from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually
from tests.support.servers import Server, free_port, running
from tests.support.services import require

SERVICE = "shop"
"""What the Sentinel calls the master."""

SLOTS = 16384
"""How many slots a cluster has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watched:
    """A master, its replica, and the Sentinel that watches them."""

    master: CacheServer
    """The master at the start."""
    replica: CacheServer
    """Its replica, which takes over."""
    port: int
    """The Sentinel's port on 127.0.0.1."""
    sentinel: Server
    """The Sentinel's process."""


@contextlib.contextmanager
def watched_redis(folder: pathlib.Path) -> Iterator[Watched]:
    """Run a master, a replica and a Sentinel, once they know each other."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(redis_server(folder / "master"))
        follow = ("--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0")
        replica = stack.enter_context(redis_server(folder / "replica", *follow))
        _await_replica(master)
        port, sentinel = stack.enter_context(_sentinel(folder / "sentinel", master))
        yield Watched(master=master, replica=replica, port=port, sentinel=sentinel)


@contextlib.contextmanager
def redis_cluster(folder: pathlib.Path) -> Iterator[list[CacheServer]]:
    """Run a cluster of two nodes, each with half of the slots."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for number in range(2):
            ports = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            nodes.append(stack.enter_context(redis_server(folder / f"node{number}", *ports)))
        first, second = [stack.enter_context(_client(node.port)) for node in nodes]
        half = SLOTS // 2
        _command(first, "CLUSTER", "ADDSLOTSRANGE", 0, half - 1)
        _command(second, "CLUSTER", "ADDSLOTSRANGE", half, SLOTS - 1)
        bus = second.config_get("cluster-port")["cluster-port"]
        _command(first, "CLUSTER", "MEET", "127.0.0.1", nodes[1].port, bus)
        eventually(lambda: _complete(first) and _complete(second), what="a complete cluster")
        yield nodes


@contextlib.contextmanager
def _sentinel(folder: pathlib.Path, master: CacheServer) -> Iterator[tuple[int, Server]]:
    folder.mkdir(parents=True)
    port = free_port()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\n"
        f"sentinel failover-timeout {SERVICE} 5000\n"
    )
    program = require("redis-server", package="redis-server")
    with running([program, configuration, "--sentinel"], folder) as server, _client(port) as client:
        eventually(lambda: _knows_replica(client), what="a Sentinel that knows the replica")
        yield port, server


def _knows_replica(client: redis.Redis) -> bool:
    return len(client.sentinel_slaves(SERVICE)) == 1


def _await_replica(master: CacheServer) -> None:
    with _client(master.port) as client:
        eventually(lambda: client.info("replication").get("connected_slaves") == 1, what="a replica")


def _complete(client: redis.Redis) -> bool:
    state = _command(client, "CLUSTER INFO")
    return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "2")


def _command(client: redis.Redis, *words: object) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _client(port: int) -> Iterator[redis.Redis]:
    client = redis.Redis(port=port)
    try:
        yield client
    finally:
        client.close()
