"""The servers that tests need but cannot install themselves."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping

import pytest


def require(command: str, *, package: str, folders: Iterable[pathlib.Path] = ()) -> str:
    """Return the path of a server's program.

    Without it the test is skipped, or fails where ``REQUIRE_SERVICES=1`` says that it has to be there.

    Args:
        command: The program.
        package: The Debian package that brings it.
        folders: Where to look for it, too, as it may not be on the PATH; the first ones first.
    """
    found = shutil.which(command) or shutil.which(command, path=os.pathsep.join(map(str, folders)))
    if found is not None:
        return found
    reason = f"{command} is not installed: apt-get install {package}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def verify(*command: str | pathlib.Path, seconds: float = 100.0, environment: Mapping[str, str] | None = None) -> None:
    """Run a program that verifies something, and has to be content.

    Args:
        command: The program and its arguments.
        seconds: How long it may take.
        environment: More environment variables.
    """
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=seconds, check=False)
    said = f"{command}\n{done.stdout[-8000:]}{done.stderr[-8000:]}"
    assert done.returncode == 0, said
    assert "FAILED" not in said
