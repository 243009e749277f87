"""The file of the SQLite store: where it is, whether it can be trusted, and how processes build and replace it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from health_check.concurrency import threads
from health_check.logs import log_beside
from health_check.stores import sqlite_past
from health_check.stores.base import StoreError
from health_check.stores.permissions import (
    Trust,
    closing,
    problem_of_folder,
    problem_of_links,
    require_safe_folder,
    trust_in,
)
from health_check.stores.site import site

fcntl: Any
try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None


VERSION = 7
"""The version of the tables, to be raised with every change of them; it is part of the default file's name."""

BUSY_SECONDS = 0.2
"""How long to wait for another process that writes."""

APPLICATION = int.from_bytes(b"dhex", "big")
"""What marks our files."""

MARKS = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"

TABLES = f"""
{sqlite_past.TABLES}
CREATE TABLE sites (site TEXT PRIMARY KEY, draining INTEGER) WITHOUT ROWID;
CREATE TABLE latest (
    name TEXT PRIMARY KEY, release TEXT NOT NULL, document TEXT NOT NULL, written REAL NOT NULL, failures TEXT NOT NULL
);
CREATE TABLE checks (
    name TEXT NOT NULL, release TEXT NOT NULL, seq INTEGER NOT NULL, document TEXT, written REAL NOT NULL,
    token TEXT NOT NULL, since REAL NOT NULL, ends REAL NOT NULL, PRIMARY KEY (name, release)
) WITHOUT ROWID;
"""
"""``latest`` has the newest record of each check, with all that is counted, and its last failures. ``checks`` has the
lease of each release, and its record where that in ``latest`` is of another one."""

COMPANIONS = ("-journal", "-wal", "-shm")
"""What SQLite may have left beside a file, and would take for the new one's."""

GUARDS = ("-journal", "-wal")
"""What SQLite looks for at each use, and reads if there is anything in it. It takes an empty one for none."""

MARK = "-forced"
"""What the name of the file ends in whose time of change is the mark."""

LOCK = "-lock"
"""What the file beside it is called that is locked while it is built or replaced, where others may open the folder."""

LOCK_SECONDS = 0.2
"""How long to wait for another process that builds or replaces the file."""


class OlderVersionError(StoreError):
    """The file is one of an older version of this package."""


class ForeignFileError(StoreError):
    """Nothing says that this package has made the file: somebody may miss it."""


class SharedFile:
    """Find, build and replace the file of a store.

    Args:
        path: The file; None for this site's and user's own in the folder for temporary files.
    """

    def __init__(self, path: pathlib.Path | None) -> None:
        self._given = path
        self._path: pathlib.Path | None = None
        self._identity: tuple[object, ...] | None = None
        self._identified: list[str] = []
        self._mark = ""

    @property
    def path(self) -> pathlib.Path:
        """The file; a link in its own place is not followed.

        Raises:
            StoreError: If there is no place for it.
        """
        if self._path is None:
            if self._given is None:
                self._path = default_path()
            else:
                try:
                    self._path = pathlib.Path(os.path.realpath(self._given.parent)) / self._given.name
                except OSError as error:
                    remedy = "give an absolute path, or start in a folder that exists"
                    raise StoreError(f"{self._given} cannot be looked at: {error.strerror}: {remedy}") from error
        return self._path

    @property
    def is_own(self) -> bool:
        """Whether nobody but this user may have to do with it."""
        return self._given is None

    def problem(self) -> str:
        """Return why the file cannot be trusted, or made; empty if nothing is seen."""
        try:
            return self._problem()
        except StoreError as error:
            return str(error)
        except OSError as error:
            return f"{self.path} cannot be looked at: {error.strerror}"

    def _problem(self) -> str:
        place = self.path.parent
        if self._given is None:
            if problem := problem_of_folder(place):
                return problem
        elif problem := problem_of_links(self._given):
            return problem
        elif not place.is_dir():
            return f"the folder {place} does not exist: create it, or correct the path"
        if not place.exists():
            return ""
        trust = trust_in(place)
        files = (self.path, *(self._beside(suffix) for suffix in (*COMPANIONS, LOCK, MARK)))
        return next(filter(None, map(trust.problem_of, files)), "")

    def ensure(self) -> None:
        """Have a file that can be used, building one where there is none; called with the lock held.

        Raises:
            StoreError: If it cannot be trusted.
            OSError: If it cannot be made.
        """
        if not self.path.exists() or self._is_put_away():
            self._put_new()
        self._identified = list(map(str, (self.path, *self._keep_others_out())))
        self._identity = self._identity_now()

    def _keep_others_out(self) -> Sequence[pathlib.Path]:
        """Have nobody else open the file, or put beside it what SQLite would read while it is in use.

        Returns:
            The files that are to be beside it for that.

        Raises:
            StoreError: If somebody has put something there.
            OSError: If that cannot be done.
        """
        trust = self._trust
        trust.close_to_readers(self.path)
        guards = [self._beside(suffix) for suffix in (*GUARDS, MARK)] if trust.is_open else []
        for file in guards:
            with trust.opened(file):
                pass
        return guards

    def _identity_now(self) -> tuple[object, ...] | None:
        """Return what identifies the file, and what is to be beside it; None where anything is missing."""
        found = []
        try:
            for file in self._identified:
                status = os.stat(file)  # noqa: PTH116 - as fast as can be: asked at each use
                # The number of a file that was deleted is given to the next one.
                found.append((status.st_dev, status.st_ino, status.st_uid))
        except OSError:
            return None
        return tuple(found)

    def _is_put_away(self) -> bool:
        """Put a file of ours away that cannot be used; return whether there is none now, or one that is empty."""
        try:
            reason = _refusal(self.path)
        except OlderVersionError as error:
            if self._identity is not None:  # another process uses it: both would replace it again and again
                raise
            reason = str(error)
        except ForeignFileError as error:
            if not self.is_own and self.was_replaced():
                if self.path.stat().st_size:
                    raise
                return True
            reason = str(error)
        if reason:
            self._move_aside(reason)
        return bool(reason)

    def was_replaced(self) -> bool:
        """Return whether the file is no longer the one that was opened: it was deleted, or another one put there."""
        return self._identity_now() != self._identity

    def set_aside(self, reason: str) -> None:
        """Put away a file that turned out to be no good, unless another process has done so."""
        with self.locked():
            if not self.was_replaced():
                self._move_aside(reason)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from building or replacing the file meanwhile.

        Raises:
            StoreError: If the file or its folder cannot be trusted, or another process keeps the lock.
        """
        if self.is_own:
            require_safe_folder(self.path.parent)
        if problem := self.problem():
            raise StoreError(problem)
        if fcntl is None:
            yield
            return
        place, trust = self.path.parent, self._trust
        # no other user can open what is locked, and lock it for long
        opened = closing(os.open(place, os.O_RDONLY)) if trust.is_private else trust.opened(self._beside(LOCK))
        with opened as descriptor:
            _lock(descriptor, self.path)
            yield

    def mark(self) -> int:
        """Return when ``raise_mark`` was called last, by any process, in nanoseconds; 0 if it was not."""
        try:
            self._mark = self._mark or str(self._beside(MARK))
            return os.stat(self._mark).st_mtime_ns  # noqa: PTH116 - as fast as can be: asked at each answer
        except (OSError, StoreError):
            return 0

    def raise_mark(self) -> None:
        """Have all processes that use the file see that something happened.

        Raises:
            OSError: If that cannot be noted.
            StoreError: If the place for it cannot be trusted.
        """
        with self._trust.opened(self._beside(MARK)) as descriptor:
            os.utime(descriptor)

    @property
    def _trust(self) -> Trust:
        return trust_in(self.path.parent)

    def _beside(self, suffix: str) -> pathlib.Path:
        return self.path.with_name(f"{self.path.name}{suffix}")

    def _move_aside(self, reason: str) -> None:
        aside = self._beside(".set-aside")
        self.path.replace(aside)
        log_beside(
            "The records of the health checks start again: %s cannot be used (%s), see %s.", self.path, reason, aside
        )

    def _put_new(self) -> None:
        new = self._beside(f".{secrets.token_hex(8)}.new")
        try:
            with self._trust.opened(new, os.O_EXCL):
                pass
            _build(new)
            for suffix in COMPANIONS:
                self._beside(suffix).unlink(missing_ok=True)
            new.replace(self.path)
        finally:
            for suffix in ("", *COMPANIONS):
                new.with_name(f"{new.name}{suffix}").unlink(missing_ok=True)


def _lock(descriptor: int, path: pathlib.Path) -> None:
    """Take the lock of a file, without waiting long: who has it may be stopped."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise StoreError(f"{path} is locked by another process") from None
            threads.original("time", "sleep")(LOCK_SECONDS / 20)
        else:
            return


def default_path() -> pathlib.Path:
    """Return the file that all processes of this site and user on this host share, if they know this version of it."""
    try:
        return default_folder() / f"{site()}.v{VERSION}.sqlite3"
    except ImproperlyConfigured as error:
        raise StoreError(str(error)) from error


def default_folder() -> pathlib.Path:
    """Return the folder in which this user's sites have their files.

    Raises:
        StoreError: If there is not a folder for temporary files.
    """
    try:
        return pathlib.Path(tempfile.gettempdir()) / f"django-health-check-{user()}"
    except OSError as error:
        remedy = "set TMPDIR, or give HEALTH_CHECK['STORE'] a path in OPTIONS"
        raise StoreError(f"no folder for temporary files can be written to: {remedy}") from error


def user() -> str:
    """Return the number of the user that this process runs as; ``user`` where the system has no such numbers."""
    return str(os.geteuid()) if hasattr(os, "geteuid") else "user"


def is_damage(error: Exception) -> bool:
    """Return whether an error means that the file itself is no good, not just that it cannot be had at present."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return isinstance(error, UnicodeDecodeError) or code in DAMAGE


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
"""The result codes of SQLite that are about the file's contents."""


def connect(path: pathlib.Path) -> sqlite3.Connection:
    """Open a file that is there."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = PERSIST")  # a fifth less for each transaction than TRUNCATE
        database.execute("PRAGMA synchronous = OFF")  # what a crash of the machine takes is measured again
    except BaseException:
        database.close()
        raise
    return database


def _build(path: pathlib.Path) -> None:
    """Make a new file."""
    with contextlib.closing(connect(path)) as database:
        database.executescript(f"BEGIN; {MARKS} {TABLES} COMMIT;")


def _refusal(path: pathlib.Path) -> str:
    """Return why a file that is there is not what this version makes; empty if it is."""
    try:
        with contextlib.closing(connect(path)) as database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            is_empty = database.execute("SELECT name FROM sqlite_master").fetchone() is None
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        if not _is_marked(path):
            raise ForeignFileError(
                f"{path} is not a store of health checks: give the store a path of its own"
            ) from error
        return str(error)
    if application != APPLICATION:
        what = "no store of health checks" if is_empty else "a database of something else"
        raise ForeignFileError(f"{path} is {what}: give the store a path of its own")
    if version != VERSION:
        remedy = "restart the processes that run the older version"
        text = f"{path} is of version {version} of the store, not {VERSION}: {remedy}"
        raise (StoreError if version > VERSION else OlderVersionError)(text)
    return ""


def _is_marked(path: pathlib.Path) -> bool:
    """Return whether a file that is damaged has our mark, where SQLite keeps that of applications."""
    with path.open("rb") as file:
        return file.read(72)[68:] == APPLICATION.to_bytes(4, "big")
