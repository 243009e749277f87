"""The servers that tests need but cannot install themselves."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping

import pytest

BUILD = pathlib.Path(__file__).parents[2] / "build"
"""Where what is fetched is kept."""


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


def npm_modules(package: str, version: str) -> pathlib.Path | None:
    """Return the folder of modules that has a package of npm's, having installed it; None where npm cannot."""
    folder = BUILD / f"{package.removeprefix('@').replace('/', '-')}-{version}"
    modules = folder / "node_modules"
    if not (modules / package).exists():
        npm = shutil.which("npm")  # it comes with Node.js
        if npm is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", f"{package}@{version}"]
        if subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False).returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            return None
    return modules


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
