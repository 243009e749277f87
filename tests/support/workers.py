"""Celery for tests: workers and a scheduler, in processes of their own."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator

from celery import Celery

from tests.support.servers import Served, Server, await_output, running

SECONDS = 90.0
"""How long one of them may take to start."""

COMMAND = (sys.executable, "-m", "celery", "-A", "tests.support.site.worker")


@contextlib.contextmanager
def site_app(broker: str) -> Iterator[Celery]:
    """Yield the app of a site in this process, which is forgotten afterwards."""
    app = Celery("shop", broker=broker, set_as_current=False)
    try:
        yield app
    finally:
        app.close()


@contextlib.contextmanager
def worker(folder: pathlib.Path, broker: str, *queues: str, name: str = "worker", cache: str = "") -> Iterator[Server]:
    """Run a worker once it is ready.

    Args:
        folder: Where its output goes.
        broker: The URL of the broker.
        queues: What it consumes; default Celery's default queue.
        name: Its name, if there are several.
        cache: The URL of the cache that its tasks use.
    """
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    options = ["worker", "--pool=solo", "--loglevel=info", f"--hostname={name}@localhost", *quiet]
    command = [*COMMAND, *options, *([f"--queues={','.join(queues)}"] if queues else [])]
    with _started(command, folder, broker, cache, r"@localhost ready\.") as server:
        yield server


@contextlib.contextmanager
def beat(folder: pathlib.Path, broker: str, *, cache: str = "") -> Iterator[Server]:
    """Run the scheduler, which sends a heartbeat twice a second by the queue ``orders``."""
    command = [*COMMAND, "beat", "--loglevel=info", f"--schedule={folder / 'schedule'}"]
    with _started(command, folder, broker, cache, r"beat: Starting") as server:
        yield server


@contextlib.contextmanager
def paused(server: Server | Served) -> Iterator[None]:
    """Keep a server from doing anything."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextlib.contextmanager
def _started(command: list[str], folder: pathlib.Path, broker: str, cache: str, sign: str) -> Iterator[Server]:
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.support.site.worker_settings",
        "TEST_SITE_BROKER": broker,
        "TEST_SITE_CACHE": cache or broker,
    }
    with running(command, folder, environment) as server:
        await_output(server, sign, seconds=SECONDS)
        yield server
