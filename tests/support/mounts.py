"""File systems for tests: small ones of their own, to be filled up and made read-only."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import Server, await_output, running
from tests.support.services import require

SIZE = "size=64k,nr_inodes=64"
"""How much there is room for."""

SCRIPT = f'mount -t tmpfs -o {SIZE} none "$0" && echo "It is mounted" && exec sleep infinity'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mounted:
    """A small file system that only one process has mounted, through which others get at it."""

    place: pathlib.Path
    """Where that process has it."""
    server: Server
    """The process."""

    @property
    def folder(self) -> pathlib.Path:
        """Where everybody finds it."""
        return pathlib.Path(f"/proc/{self.server.process.pid}/root{self.place}")

    def names(self) -> list[str]:
        """Return the names of all files and folders in it."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nobody write to it."""
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room for a byte more."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            _until_no_space(lambda: file.write(bytes(512)))
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def full_of_names(self) -> Iterator[None]:
        """Leave no room for a file more, though for bytes."""
        numbers = itertools.count()
        _until_no_space(lambda: (self.folder / f"filler-{next(numbers)}").touch())
        try:
            yield
        finally:
            for filler in self.folder.glob("filler-*"):
                filler.unlink()

    def _remount(self, option: str) -> None:
        of = [f"--target={self.server.process.pid}", "--mount", *_own_user("--user", "--preserve-credentials")]
        command = [require("nsenter", package="util-linux"), *of]
        subprocess.run([*command, "mount", "-o", f"remount,{option}", str(self.place)], check=True)


@contextlib.contextmanager
def mounted(folder: pathlib.Path) -> Iterator[Mounted]:
    """Mount a small file system; where that cannot be done the test is skipped.

    Args:
        folder: Where its place and the output of its process go.
    """
    place = folder / "small"
    place.mkdir()
    wrapper = [require("unshare", package="util-linux"), "--mount", *_own_user("--map-root-user")]
    done = subprocess.run(
        [*wrapper, "mount", "-t", "tmpfs", "none", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"No file system can be mounted here: {done.stderr.strip()}")
    with running([*wrapper, "sh", "-c", SCRIPT, str(place)], folder) as server:
        await_output(server, "It is mounted")
        yield Mounted(place=place, server=server)


def _until_no_space(write: Callable[[], object]) -> None:
    try:
        while True:
            write()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _own_user(*options: str) -> list[str]:
    """Return what somebody else than root needs to mount."""
    return [] if os.geteuid() == 0 else [*options]
