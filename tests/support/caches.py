"""Redis and Memcached for tests: each on a loopback port of its own, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import socket
from collections.abc import Iterator

from tests.support.client import eventually
from tests.support.servers import Served, Server, free_port, running
from tests.support.services import require

SECONDS = 1.0
"""How long one look at a server may take."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheServer(Served):
    """A cache server that runs, and how Django reaches it."""

    backend: str
    """The class of Django's that is its client."""
    port: int
    """Its port on 127.0.0.1; give it to start another one at the same place."""
    location: str
    """Its place, as ``CACHES`` has it."""
    server: Server
    """Its process, and what it printed."""

    def configuration(self, **options: object) -> dict[str, object]:
        """Return what stands for it in ``CACHES``."""
        return {"BACKEND": self.backend, "LOCATION": self.location, **options}


@contextlib.contextmanager
def redis_server(folder: pathlib.Path, *arguments: str, port: int | None = None) -> Iterator[CacheServer]:
    """Run a Redis that keeps nothing on disk unless the arguments say otherwise.

    Args:
        folder: Where its data and its output go.
        arguments: More options of its command line.
        port: Its port; default a free one.
    """
    port = port or free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", *arguments]
    with _serving([require("redis-server", package="redis-server"), *options], folder, port, "PING", "+PONG") as server:
        yield CacheServer(
            backend="django.core.cache.backends.redis.RedisCache",
            port=port,
            location=f"redis://127.0.0.1:{port}/0",
            server=server,
        )


@contextlib.contextmanager
def memcached_server(folder: pathlib.Path, *arguments: str, port: int | None = None) -> Iterator[CacheServer]:
    """Run a Memcached.

    Args:
        folder: Where its output goes.
        arguments: More options of its command line.
        port: Its port; default a free one.
    """
    port = port or free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    options = ["-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", *user, *arguments]
    with _serving([require("memcached", package="memcached"), *options], folder, port, "version", "VERSION") as server:
        yield CacheServer(
            backend="django.core.cache.backends.memcached.PyMemcacheCache",
            port=port,
            location=f"127.0.0.1:{port}",
            server=server,
        )


@contextlib.contextmanager
def _serving(command: list[str], folder: pathlib.Path, port: int, question: str, answer: str) -> Iterator[Server]:
    """Run a server once it answers; at the end a paused one is let go on, so that it can end."""

    def answers() -> bool:
        if server.process.poll() is not None:
            raise AssertionError(f"It ended with code {server.process.returncode}:\n{server.output()}")
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.sendall(f"{question}\r\n".encode())
            return connection.recv(64).startswith(answer.encode())

    with running(command, folder) as server:
        try:
            eventually(answers, what=f"an answer of {command[0]}")
            server.url = f"http://127.0.0.1:{port}"
            yield server
        finally:
            server.resume()
