"""Redis and Memcached for tests: each on a loopback port of its own, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import socket

from tests.support.servers import Served, free_port
from tests.support.services import require

SECONDS = 1.0
"""How long one look at a server may take."""


@dataclasses.dataclass(kw_only=True)
class CacheServer(Served):
    """A cache server, and how Django reaches it."""

    backend: str
    """The class of Django's that is its client."""
    port: int
    """Its port on 127.0.0.1; give it to start another one at the same place."""
    location: str
    """Its place, as ``CACHES`` has it."""
    command: list[str]
    """Its program and its arguments."""
    question: str
    """What to ask it."""
    answers: tuple[str, ...]
    """How its answer begins."""

    def configuration(self, **options: object) -> dict[str, object]:
        """Return what stands for it in ``CACHES``."""
        return {"BACKEND": self.backend, "LOCATION": self.location, **options}

    def start(self) -> None:
        self.run(*self.command)
        self.await_answer(self._answers)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(f"{self.question}\r\n".encode())
            return connection.recv(64).decode().startswith(self.answers)


def redis_server(
    folder: pathlib.Path, *arguments: str, port: int | None = None
) -> contextlib.AbstractContextManager[CacheServer]:
    """Run a Redis that keeps nothing on disk unless the arguments say otherwise.

    Args:
        folder: Where its data and its output go.
        arguments: More options of its command line.
        port: Its port; default a free one.
    """
    port = port or free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", *arguments]
    return CacheServer(
        folder=folder,
        backend="django.core.cache.backends.redis.RedisCache",
        port=port,
        location=f"redis://127.0.0.1:{port}/0",
        command=[require("redis-server", package="redis-server"), *options],
        question="PING",
        answers=("+PONG", "-NOAUTH"),
    ).started()


def memcached_server(
    folder: pathlib.Path, *arguments: str, port: int | None = None
) -> contextlib.AbstractContextManager[CacheServer]:
    """Run a Memcached.

    Args:
        folder: Where its output goes.
        arguments: More options of its command line.
        port: Its port; default a free one.
    """
    port = port or free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    options = ["-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", *user, *arguments]
    return CacheServer(
        folder=folder,
        backend="django.core.cache.backends.memcached.PyMemcacheCache",
        port=port,
        location=f"127.0.0.1:{port}",
        command=[require("memcached", package="memcached"), *options],
        question="version",
        answers=("VERSION",),
    ).started()
