"""A file that several processes share, build in one piece and may replace."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from health_check import threads
from health_check.stores import folder
from health_check.stores.base import StoreError

fcntl: Any
try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

logger = logging.getLogger("health_check")

COMPANIONS = ("-journal", "-wal", "-shm")
"""What SQLite may have left beside a file, and would take for the new one's."""


LOCK_SECONDS = 0.2
"""How long to wait for another process that builds or replaces the file."""


class OtherVersionError(StoreError):
    """The file is one of another version of this package."""


class ForeignFileError(StoreError):
    """The file is somebody's, who would miss it."""


class SharedFile:
    """Find, build and replace the file of a store.

    Args:
        path: The file; default this site's and user's own in the folder for temporary files.
        build: Makes a new file; is told whether it takes the place of one that was lost.
        refuse: Returns why a file cannot be used, empty if it can; raises OtherVersionError if another version can.
    """

    def __init__(
        self,
        path: pathlib.Path | None,
        *,
        build: Callable[[pathlib.Path, bool], None],
        refuse: Callable[[pathlib.Path], str],
    ) -> None:
        self._given = path
        self._path: pathlib.Path | None = None
        self._build = build
        self._refuse = refuse
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        if self._path is None:
            self._path = folder.default_path() if self._given is None else pathlib.Path(os.path.realpath(self._given))
        return self._path

    @property
    def is_own(self) -> bool:
        """Whether nobody but this user may have to do with it."""
        return self._given is None

    def problem(self) -> str:
        """Return why the file cannot be trusted, or made; empty if nothing is seen."""
        place = self.path.parent
        if self.is_own and (problem := folder.problem_of(place)):
            return problem
        if not self.is_own and not place.is_dir():
            return f"the folder {place} is not there: make it, or correct the path"
        return folder.problem_of_file(self.path, own=self.is_own)

    def ensure(self) -> None:
        """Have a file that can be used, building one where there is none; called with the lock held.

        Raises:
            StoreError: If its place cannot be trusted.
            OSError: If it cannot be made.
        """
        if problem := self.problem():
            raise StoreError(problem)
        was_lost = self._identity is not None
        if self.path.exists():
            try:
                reason = self._refuse(self.path)
            except OtherVersionError as error:
                if self._identity is not None:  # another process works with it: we would fight for ever
                    raise
                reason = str(error)
            except ForeignFileError as error:
                if not self.is_own:
                    raise
                reason = str(error)
            if reason:
                self._move_aside(reason)
                was_lost = True
        if not self.path.exists():
            self._put_new(was_lost=was_lost)
        self._identity = _identity(self.path)

    def was_replaced(self) -> bool:
        """Tell whether the file is no longer the one that was opened: it was deleted, or another one put there."""
        return _identity(self.path) != self._identity

    def set_aside(self, reason: str) -> None:
        """Put away a file that turned out to be no good, unless another process has done so."""
        with self.locked():
            if not self.was_replaced():
                self._move_aside(reason)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from building or replacing the file meanwhile.

        Raises:
            StoreError: If the folder cannot be trusted, or another process keeps the lock.
        """
        place = self.path.parent
        if self.is_own:
            folder.require_safe(place)
        if fcntl is None:
            yield
            return
        descriptor = os.open(place, os.O_RDONLY)
        try:
            _lock(descriptor, place)
            yield
        finally:
            threads.original("os", "close")(descriptor)  # gevent's would leave it to a hub that may not run

    def _move_aside(self, reason: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.set-aside")
        self.path.replace(aside)
        logger.warning(
            "The records of the health checks begin anew: %s is no good (%s), see %s.", self.path, reason, aside
        )

    def _put_new(self, *, was_lost: bool) -> None:
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}.new")
        try:
            threads.original("os", "close")(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._build(new, was_lost)
            for suffix in COMPANIONS:
                self.path.with_name(f"{self.path.name}{suffix}").unlink(missing_ok=True)
            new.replace(self.path)
        finally:
            for suffix in ("", *COMPANIONS):
                new.with_name(f"{new.name}{suffix}").unlink(missing_ok=True)


def _lock(descriptor: int, place: pathlib.Path) -> None:
    """Take the lock of a folder, without waiting long: who has it may be stopped, or mean harm."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise StoreError(f"{place} is locked by another process") from None
            threads.original("time", "sleep")(LOCK_SECONDS / 20)
        else:
            return


def _identity(path: pathlib.Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as fast as can be: asked at each use
    except OSError:
        return None
    return status.st_dev, status.st_ino
