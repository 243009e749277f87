"""Other libraries from PyPI, each in a process of its own that takes turns with ours."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.peer import REPOSITORY

VERSIONS = ("3.23.5", "4.8.0")
"""The versions of django-health-check that are measured against."""


class Peer:
    """A process that serves a site with another library.

    Args:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def seconds(self, calls: int) -> float:
        """Have it answer some requests, and return how long one takes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{calls}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextlib.contextmanager
def django_health_check(version: str, checks: int) -> Iterator[Peer]:
    """Run a site with django-health-check, installed for it if need be."""
    folder = _installed(version)
    script = pathlib.Path(__file__).with_name("peer.py")
    command = [sys.executable, str(script), str(folder), str(checks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


def _installed(version: str) -> pathlib.Path:
    folder = REPOSITORY / "build" / "peers" / version
    if not folder.exists():
        requirements = [f"django-health-check=={version}", "dnspython", "psutil"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, *requirements], check=True)
    return folder
