"""Commands that tests run in their own process."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable

from django.core.management import ManagementUtility, call_command


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def on(terminal: Terminal, *args: str) -> list[str]:
    """Run the command on a terminal, and return the lines that it shows."""
    terminal.truncate(0)
    terminal.seek(0)
    with contextlib.suppress(SystemExit):
        call_command("health_check", *args, stdout=terminal)
    return terminal.getvalue().splitlines()


def executed(*arguments: object) -> int:
    """Execute a command as ``manage.py`` does, and return its exit code."""
    try:
        ManagementUtility(["manage.py", *map(str, arguments)]).execute()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


Run = Callable[..., Ran]
"""Runs ``health_check`` with these arguments."""
