"""The file of the SQLite store: where it is, whether it can be trusted, and how processes build and replace it."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils.crypto import salted_hmac

from health_check.concurrency import threads
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


class OlderVersionError(StoreError):
    """The file is one of an older version of this package."""


class NewerVersionError(StoreError):
    """The file is one of a newer version of this package, whose processes go on using it."""


class ForeignFileError(StoreError):
    """The file is somebody's, who would miss it."""


class SharedFile:
    """Find, build and replace the file of a store.

    Args:
        path: The file; default this site's and user's own in the folder for temporary files.
        build: Makes a new file.
        refuse: Returns why a file cannot be used, empty if it can; raises OlderVersionError if an older version can,
            NewerVersionError if a newer one can.
        version: The version of what is in the file, for its default name.
    """

    def __init__(
        self,
        path: pathlib.Path | None,
        *,
        build: Callable[[pathlib.Path], None],
        refuse: Callable[[pathlib.Path], str],
        version: int = 0,
    ) -> None:
        self._given = path
        self._path: pathlib.Path | None = None
        self._build = build
        self._refuse = refuse
        self._version = version
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        if self._path is None:
            self._path = (
                default_path(self._version) if self._given is None else pathlib.Path(os.path.realpath(self._given))
            )
        return self._path

    @property
    def is_own(self) -> bool:
        """Whether nobody but this user may have to do with it."""
        return self._given is None

    def problem(self) -> str:
        """Return why the file cannot be trusted, or made; empty if nothing is seen."""
        place = self.path.parent
        if self.is_own and (problem := problem_of_folder(place)):
            return problem
        if not self.is_own and not place.is_dir():
            return f"the folder {place} is not there: make it, or correct the path"
        return problem_of_file(self.path, own=self.is_own)

    def ensure(self) -> None:
        """Have a file that can be used, building one where there is none; called with the lock held.

        Raises:
            StoreError: If its place cannot be trusted.
            OSError: If it cannot be made.
        """
        if problem := self.problem():
            raise StoreError(problem)
        if self.path.exists():
            try:
                reason = self._refuse(self.path)
            except OlderVersionError as error:
                if self._identity is not None:  # another process works with it: we would fight for ever
                    raise
                reason = str(error)
            except ForeignFileError as error:
                if not self.is_own:
                    raise
                reason = str(error)
            if reason:
                self._move_aside(reason)
        if not self.path.exists():
            self._put_new()
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
            require_safe_folder(place)
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
            "The records of the health checks start from scratch: %s is no good (%s), see %s.", self.path, reason, aside
        )

    def _put_new(self) -> None:
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}.new")
        try:
            threads.original("os", "close")(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._build(new)
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


def default_path(version: int) -> pathlib.Path:
    """Return the file that all processes of this site and user on this host share, if they know this version of it."""
    return default_folder() / f"{site()}.v{version}.sqlite3"


def default_folder() -> pathlib.Path:
    """Return the folder in which this user's sites have their files."""
    return pathlib.Path(tempfile.gettempdir()) / f"django-health-check-{user()}"


def user() -> str:
    """Return the number of the user that this process runs as; ``user`` where the system has no such numbers."""
    return str(os.geteuid()) if hasattr(os, "geteuid") else "user"


def site() -> str:
    """Return what tells this site from others, the same in all its processes: an HMAC of what makes the site."""
    facts = [
        getattr(settings, "SETTINGS_MODULE", ""),
        getattr(settings, "BASE_DIR", ""),
        connections.settings,  # Django fills in the defaults when this is first read
        caches.settings,
    ]
    text = re.sub(r" at 0x[0-9a-f]+", "", _text(facts))
    return salted_hmac("health_check.stores", text, algorithm="sha256").hexdigest()[:32]


def require_safe_folder(place: pathlib.Path) -> None:
    """Make the folder, or make sure that nobody else can do anything in it.

    Raises:
        StoreError: If somebody else made it, or could.
    """
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"{place} cannot be made: {error.strerror}") from error
    if problem := problem_of_folder(place):
        raise StoreError(problem)


def problem_of_folder(place: pathlib.Path) -> str:
    """Return why a folder cannot be trusted; empty if it can, or is not there."""
    try:
        status = os.lstat(place)
    except OSError:
        return ""
    remedy = "remove it, or give HEALTH_CHECK['STORE'] a path of its own in OPTIONS"
    if not stat.S_ISDIR(status.st_mode):
        return f"{place} is no folder, but a link or a file: {remedy}"
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"{place} belongs to user {status.st_uid}: {remedy}"
    if os.name == "posix" and status.st_mode & 0o077:
        return f"{place} is open to other users: chmod 700 it, if they have put nothing there"
    return ""


def problem_of_file(file: pathlib.Path, *, own: bool) -> str:
    """Return why a file cannot be trusted; empty if it can, or is not there.

    Args:
        file: The file.
        own: Whether it has to belong to the user that this process runs as.
    """
    try:
        status = os.lstat(file)
    except OSError:
        return ""
    if stat.S_ISDIR(status.st_mode):
        return f"{file} is a folder: {'remove it' if own else 'name a file in it'}"
    if not stat.S_ISREG(status.st_mode):
        return f"{file} is no file of its own, but a link or a device: remove it"
    if status.st_nlink > 1:
        return f"{file} has other names, too: remove it"
    if own and hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"{file} belongs to user {status.st_uid}: remove it"
    return ""


def _text(value: Any) -> str:
    """Return a setting as text that is the same in all processes, whatever the order of its parts."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_text(key)}:{_text(item)}" for key, item in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(_text(item) for item in value)) + "}"
    return str(value) if isinstance(value, os.PathLike) else repr(value)
