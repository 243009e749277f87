"""Checks that behave as badly as checks can, but for those that hang."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from typing import Any

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from tests.support.site.checks import Hanging, Noting

FOREVER_SECONDS = 600.0
"""How long the threads hang that a check starts: longer than any test."""

LINES = 3000
"""How many lines ``LoggingMuch`` logs."""

logger = logging.getLogger("shop")


class Tasks(Noting):
    """Say how many tasks are on the event loop, itself included."""

    critical_service = False

    async def check_status(self) -> None:
        self.note()
        raise ServiceWarning(f"{len(asyncio.all_tasks())} on the loop")


class Late(Hanging):
    """Hang until released, and then find something wrong; be in order from the second run on."""

    def check_status(self) -> None:
        first = not (self.folder / "Late.runs").exists()
        self.note()
        if first:
            self.hang()
            raise ServiceUnavailable("too late")


class ForkReturning(Noting):
    """Fork, and let the child go on as if it were the parent."""

    def check_status(self) -> None:
        self.note()
        if os.fork() == 0:
            return
        raise ServiceWarning("said by the parent")


class ForkRaising(Noting):
    """Fork, and let the child end as scripts do."""

    def check_status(self) -> None:
        self.note()
        if os.fork() == 0:
            sys.exit(3)
        raise ServiceWarning("said by the parent")


class ForkOnLoop(Noting):
    """Fork in a coroutine, and let the child go on as if it were the parent."""

    async def check_status(self) -> None:
        self.note()
        if os.fork() == 0:
            return
        raise ServiceWarning("said by the parent")


class ForkExiting(Noting):
    """Fork as it should be done: the child ends at once, and the parent waits for that."""

    def check_status(self) -> None:
        self.note()
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        raise ServiceWarning(f"the child ended with {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


class Recursing(Noting):
    """Recurse without end."""

    def check_status(self) -> None:
        self.note()
        self._recurse()

    def _recurse(self) -> None:
        self._recurse()


class Exhausting(Noting):
    """Ask for more memory than there is."""

    def check_status(self) -> None:
        self.note()
        bytearray(2**62)


class LoggingMuch(Noting):
    """Log some thousand lines, to where everything else is logged."""

    def check_status(self) -> None:
        self.note()
        for number in range(LINES):
            logger.error("line %d", number)


class Mutating(Noting):
    """Make its class another one while it runs."""

    def check_status(self) -> None:
        self.note()
        own: Any = type(self)
        own.critical_service = False
        own.timeout, own.max_age, own.name, own.scope = 0.0001, 1e9, "Renamed", "fleet"
        own.__qualname__ = "Other"
        own.__repr__ = None
        raise ServiceUnavailable("mutated")


class StartingThreads(Noting):
    """Start threads of its own, which hang, and wait for none of them."""

    def check_status(self) -> None:
        self.note()
        for _ in range(5):
            threading.Thread(target=time.sleep, args=(FOREVER_SECONDS,)).start()


class Flooding(Noting):
    """Say too much."""

    def check_status(self) -> None:
        self.note()
        raise ServiceUnavailable("x" * 10_000_000)


class SlowlyBuilt(Noting):
    """Take seconds to be constructed, and fail until released."""

    def __init__(self) -> None:
        time.sleep(3)
        if not self.released:
            raise ConnectionRefusedError("a text that nobody meant for readers")
        super().__init__()

    def check_status(self) -> None:
        """Find nothing wrong."""
