"""Checks that note each of their runs in a file, and behave as the tests need it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import importlib
import itertools
import logging
import os
import pathlib
import socket
import time
import urllib.request

from asgiref.sync import async_to_sync, sync_to_async

from health_check.backends import HealthCheck
from health_check.conf import settings
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from tests.support.site.configuration import configured

POLL_SECONDS = 0.02

HANG_SECONDS = 0.1
"""How often a check that hangs looks whether it is released: rarely, as there may be a hundred of them."""

quiet_logger = logging.getLogger("quiet")
quiet_logger.propagate = False
quiet_logger.addHandler(logging.FileHandler(os.devnull, delay=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noted:
    """A run of a check, as the check saw it."""

    started: float
    """When it started, in seconds of the monotonic clock, which all processes of a machine share."""
    pid: int
    """The process it ran in."""


def noted_runs(folder: pathlib.Path, name: str) -> list[Noted]:
    """Return the runs of the check of this class name, in the order they started in."""
    file = folder / f"{name}.runs"
    lines = file.read_text().splitlines() if file.exists() else []
    return [Noted(started=float(started), pid=int(pid)) for started, pid in (line.split() for line in lines)]


def gaps(runs: list[Noted]) -> list[float]:
    """Return the seconds from the start of each run to the start of the next."""
    return [later.started - earlier.started for earlier, later in itertools.pairwise(runs)]


def release(folder: pathlib.Path) -> None:
    """Let all checks that hang return."""
    (folder / "released").touch()


class Noting(HealthCheck):
    """Note each run."""

    def note(self, name: str = "") -> None:
        """Note that a run has started, or whatever else there is to note."""
        with self.folder.joinpath(f"{name or type(self).__name__}.runs").open("a") as file:
            file.write(f"{time.monotonic()} {os.getpid()}\n")

    @property
    def folder(self) -> pathlib.Path:
        """Where to note it."""
        return configured().folder

    @property
    def released(self) -> bool:
        """Whether a check that hangs is to return."""
        return (self.folder / "released").exists()


class Counting(Noting):
    """Be in order."""

    def check_status(self) -> None:
        self.note()


class CountingAsync(Noting):
    """Be in order, on the event loop."""

    async def check_status(self) -> None:
        self.note()


class Flip(Noting):
    """Be in order at every other run, beginning with the first."""

    critical_service = False

    def check_status(self) -> None:
        self.note()
        number = len(noted_runs(self.folder, type(self).__name__))
        if number % 2 == 0:
            raise ServiceUnavailable(f"run {number} fails")


class FailingIn(Noting):
    """Fail in one release of the site."""

    def check_status(self) -> None:
        self.note()
        if settings.RELEASE == "2":
            raise ServiceUnavailable("unapplied migrations")


class FailingWhile(Noting):
    """Fail while a file is there."""

    def check_status(self) -> None:
        self.note()
        if (self.folder / "broken").exists():
            raise ServiceUnavailable("the file is there")


class FleetWhile(FailingWhile):
    """Fail while a file is there, on all hosts together."""

    scope = "fleet"


class Slow(Noting):
    """Take half a second."""

    def check_status(self) -> None:
        self.note()
        time.sleep(0.5)


@dataclasses.dataclass
class OneOfMany(Noting):
    """Be one of many that are alike, and take some seconds."""

    number: int = 0
    seconds: float = 0.0

    def check_status(self) -> None:
        self.note()
        time.sleep(self.seconds)


class SlowAsync(Noting):
    """Take a fifth of a second, on the event loop."""

    async def check_status(self) -> None:
        self.note()
        await asyncio.sleep(0.2)


@dataclasses.dataclass
class Hanging(Noting):
    """Hang until released."""

    number: int = dataclasses.field(default=0, repr=False)

    def hang(self) -> None:
        """Do not return before being released."""
        while not self.released:
            time.sleep(HANG_SECONDS)

    async def hang_async(self) -> None:
        """Do not return before being released, and let the event loop go on."""
        while not self.released:
            await asyncio.sleep(HANG_SECONDS)


class Hang(Hanging):
    """Hang until released, as a function."""

    def check_status(self) -> None:
        self.note()
        self.hang()


class HangOnLoop(Hanging):
    """Hang until released, and let the event loop do nothing else meanwhile."""

    async def check_status(self) -> None:
        self.note()
        self.hang()


class HangOffLoop(Hanging):
    """Hang until released, in a sync function that a coroutine waits for."""

    async def check_status(self) -> None:
        self.note()
        await sync_to_async(self.hang)()


class HangDeaf(Hanging):
    """Hang until released, as a coroutine that cannot be cancelled."""

    async def check_status(self) -> None:
        self.note()
        while not self.released:
            with contextlib.suppress(asyncio.CancelledError):
                await self.hang_async()


class HangAsync(Hanging):
    """Hang until released, as a coroutine that can be cancelled, and note its end."""

    async def check_status(self) -> None:
        self.note()
        try:
            await self.hang_async()
        finally:
            self.note("HangAsync-ended")


class HangInExecutor(Hanging):
    """Hang until released, in an executor's thread, which the exit of Python waits for."""

    def check_status(self) -> None:
        self.note()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self.hang).result()


class HangInCoroutine(Hanging):
    """Hang until released, as a function that waits for a coroutine, which asgiref runs in an executor's thread."""

    def check_status(self) -> None:
        self.note()
        async_to_sync(self.hang_async)()


class HangLogging(Hanging):
    """Log until released, to where nobody reads it."""

    def check_status(self) -> None:
        self.note()
        while not self.released:
            quiet_logger.error("without end")


class Numbered(Noting):
    """Say at every run which one it is."""

    critical_service = False

    def check_status(self) -> None:
        self.note()
        raise ServiceWarning(f"run {len(noted_runs(self.folder, type(self).__name__))}")


class FleetFlip(Flip):
    """Flip for all hosts together."""

    scope = "fleet"


class BlockedInC(Noting):
    """Wait in the C library, which no monkey patch reaches, until somebody writes to the FIFO ``gate``."""

    def check_status(self) -> None:
        self.note()
        os.close(os.open(self.folder / "gate", os.O_RDONLY))


class Socket(Noting):
    """Send a byte to a server, and get it back."""

    def check_status(self) -> None:
        self.note()
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            peer, _ = server.accept()
            with peer:
                client.sendall(b"?")
                peer.sendall(peer.recv(1))
            if client.recv(1) != b"?":
                raise ServiceUnavailable("not what was sent")


class Trap(Hanging):
    """Hang once for each file ``trap``, which becomes ``trapped``; else be in order."""

    def check_status(self) -> None:
        self.note()
        try:
            (self.folder / "trap").rename(self.folder / "trapped")
        except FileNotFoundError:
            return
        self.hang()


class SocketPair(Noting):
    """Have four sockets at once, as clients of a service do."""

    def check_status(self) -> None:
        with contextlib.ExitStack() as stack:
            for end in (*socket.socketpair(), *socket.socketpair()):
                stack.callback(end.close)


@dataclasses.dataclass
class AskingWeb(Noting):
    """Ask a URL, by a client of one kind or another."""

    url: str = ""
    client: str = "urllib"

    def check_status(self) -> None:
        self.note()
        if self.client == "urllib":
            with urllib.request.urlopen(self.url) as answer:
                answer.read()
        else:
            importlib.import_module(self.client).get(self.url, timeout=None if self.client == "requests" else 60)
