"""The folder of the store that is shared by the processes of a host, and the file's name for this site."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import tempfile
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils.crypto import salted_hmac

from health_check.stores.base import StoreError


def default_path() -> pathlib.Path:
    """Return the file that all processes of this site and user on this host share."""
    return folder() / f"{site()}.sqlite3"


def folder() -> pathlib.Path:
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


def require_safe(place: pathlib.Path) -> None:
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
    if problem := problem_of(place):
        raise StoreError(problem)


def problem_of(place: pathlib.Path) -> str:
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
