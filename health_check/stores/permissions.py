"""Which files a store may use: whose they are, who else may write to them, and whether they are links."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import stat
from collections.abc import Iterator

from health_check.concurrency import threads
from health_check.stores.base import StoreError

ROOT = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose files in a folder are used."""

    owners: frozenset[int]
    """The users whose files are; none is asked for where the system has no such numbers."""
    group: int | None = None
    """The group that shares the files, as the operator said by the mode 2770 of the folder."""
    heir: tuple[int, int] | None = None
    """The user and the group that a file of root's is given to: who owns the folder is who is to use it."""

    is_private: bool = True
    """Whether nobody else can open the folder."""
    is_open: bool = False
    """Whether others, who are not trusted, can make files in the folder."""

    @property
    def mode(self) -> int:
        """The mode of a new file."""
        return 0o600 if self.group is None else 0o660

    def problem_of(self, file: pathlib.Path) -> str:
        """Return why a file cannot be used; empty if it can, or is not there."""
        try:
            return self.problem_in(file, os.lstat(file))
        except FileNotFoundError:
            return ""

    def problem_in(self, file: pathlib.Path, status: os.stat_result) -> str:
        """Return why a file of this status cannot be used; empty if it can."""
        if stat.S_ISDIR(status.st_mode):
            return f"{file} is a folder: name a file in it, or remove it"
        if not stat.S_ISREG(status.st_mode):
            return f"{file} is not a regular file, but a link or a device: remove it"
        if status.st_nlink > 1:
            return f"{file} has other names (hard links): remove it"
        if not hasattr(os, "geteuid"):
            return ""
        if status.st_uid not in self.owners and (self.group is None or status.st_gid != self.group):
            return f"{file} belongs to user {status.st_uid}: remove it"
        if status.st_mode & ~self.mode & 0o022:
            return f"{file} can be written by other users: chmod {self.mode:o} it, if they have put nothing there"
        return ""

    def close_to_readers(self, file: pathlib.Path) -> None:
        """Have others not open a file of this user's: a process that can read it can lock it for as long as it likes.

        By its name: to close a descriptor of it would end this process's own locks.

        Raises:
            OSError: If it is not there.
        """
        status = os.lstat(file)
        is_own = hasattr(os, "geteuid") and status.st_uid == os.geteuid()
        if is_own and stat.S_ISREG(status.st_mode) and status.st_mode & ~self.mode & 0o044:
            file.chmod(self.mode)

    @contextlib.contextmanager
    def opened(self, file: pathlib.Path, flags: int = 0) -> Iterator[int]:
        """Open a file, following no link, and make it for those who are trusted where it is not there.

        Raises:
            StoreError: If it is not to be used.
            OSError: If it cannot be opened.
        """
        safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # which opens no link, and waits for no pipe
        with closing(os.open(file, flags | safe | os.O_CREAT | os.O_RDWR, 0o600)) as descriptor:
            status = os.fstat(descriptor)
            if hasattr(os, "fchmod") and status.st_uid == os.geteuid() and status.st_size == 0:
                os.fchmod(descriptor, self.mode)
                if self.heir is not None:
                    os.fchown(descriptor, *self.heir)
                status = os.fstat(descriptor)
            if problem := self.problem_in(file, status):
                raise StoreError(problem)
            yield descriptor


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a file in the end; not as gevent does, which would leave that to a hub that may not run."""
    try:
        yield descriptor
    finally:
        threads.original("os", "close")(descriptor)


def trust_in(folder: pathlib.Path) -> Trust:
    """Return whose files in a folder are used: this user's, root's, and of whom the operator says so by its mode.

    That is its owner if nobody else may write to it, and its group if its mode is 2770.

    Raises:
        OSError: If the folder cannot be looked at.
    """
    if not hasattr(os, "geteuid"):
        return Trust(owners=frozenset())
    status = folder.stat()
    owners, others = {os.geteuid(), ROOT}, status.st_mode & 0o022
    heir = None
    if not others:
        owners.add(status.st_uid)
        heir = (status.st_uid, status.st_gid) if os.geteuid() == ROOT != status.st_uid else None
    shared = others == stat.S_IWGRP and bool(status.st_mode & stat.S_ISGID)
    strangers = 0o004 if shared else 0o044
    return Trust(
        owners=frozenset(owners),
        group=status.st_gid if shared else None,
        heir=heir,
        is_private=not status.st_mode & strangers and (shared or status.st_uid in owners),
        is_open=bool(others) and not shared,
    )


def problem_of_links(path: pathlib.Path) -> str:
    """Return which folder on the way to a file is a link that somebody else has put there; empty if none is."""
    if not hasattr(os, "geteuid"):
        return ""
    for place in path.absolute().parents:
        with contextlib.suppress(OSError):  # opening it raises then
            status = os.lstat(place)
            allowed = {os.geteuid(), ROOT, place.parent.stat().st_uid}
            if stat.S_ISLNK(status.st_mode) and status.st_uid not in allowed:
                return f"{place} is a link of user {status.st_uid}: remove it, or correct the path"
    return ""


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
    """Return why a folder cannot be trusted to be this user's alone; empty if it can, or is not there."""
    try:
        status = os.lstat(place)
    except OSError:
        return ""
    remedy = "remove it, or give HEALTH_CHECK['STORE'] a path of its own in OPTIONS"
    if not stat.S_ISDIR(status.st_mode):
        return f"{place} is not a folder, but a link or a file: {remedy}"
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"{place} belongs to user {status.st_uid}: {remedy}"
    if os.name == "posix" and status.st_mode & 0o077:
        return f"{place} is accessible to other users: chmod 700 it, if they have put nothing there"
    return ""
