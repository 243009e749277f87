"""What distinguishes one site from others that may share a store with it."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connections

from health_check.conf import settings
from health_check.redaction import mask

RELEASE = re.compile(r"(.*\D)?\d{8,14}|.*\d{4}-\d\d-\d\d.*|(?=.*\d)(?=.*[a-f])[0-9a-f]{7,40}|v?\d+(\.\d+)+")

PLACES = (
    *("service", "options", "host", "hostaddr", "port", "dbname"),  # psycopg: "options" may have a search_path
    *("read_default_file", "read_default_group", "unix_socket", "db", "database"),  # mysqlclient
)
"""The options of databases that say where these are."""


def site() -> str:
    """Return what distinguishes this site from others, the same in all its processes and releases.

    A digest of ``HEALTH_CHECK["SITE"]`` alone, or else of what makes the site: the settings module, ``BASE_DIR``, and
    of each database and cache its engine, host, port and name, also where options have them. No user, password or key
    goes into it.
    """
    return digest(settings.SITE or "\n".join(facts()))


def facts() -> list[str]:
    """Return what makes a site that has no name, a line each."""
    return [
        f"settings {settings_module()}",
        f"folder {base_folder()}",
        *(f"database {alias} {_of_database(database)}" for alias, database in sorted(connections.settings.items())),
        *(f"cache {alias} {_of_cache(cache)}" for alias, cache in sorted(caches.settings.items())),
    ]


def settings_module() -> str:
    """Return the name of the settings module, also where tests override settings."""
    return getattr(django_settings, "SETTINGS_MODULE", None) or os.environ.get("DJANGO_SETTINGS_MODULE", "")


def base_folder() -> str:
    """Return ``BASE_DIR`` with links followed; empty where there is none."""
    folder = getattr(django_settings, "BASE_DIR", "")
    return os.path.realpath(folder) if isinstance(folder, str | os.PathLike) and str(folder) else ""


def looks_like_a_release(folder: str) -> bool:
    """Return whether a folder seems to be of one release of the site: its name is a date, a version or a commit."""
    parts = pathlib.PurePath(folder).parts
    return any(RELEASE.fullmatch(part) for part in parts) or bool({"releases", "release"} & set(parts[:-1]))


def digest(text: str) -> str:
    """Return a digest that is short enough for a file name and a cache key."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _of_database(database: Mapping[str, Any]) -> str:
    options = database.get("OPTIONS")
    found = {name: options.get(name) for name in PLACES} if isinstance(options, Mapping) else {}
    places = [
        f"{name}={mask(str(value))}"
        for name, value in found.items()
        if value and isinstance(value, str | int | os.PathLike)
    ]
    return " ".join([*(str(database.get(name) or "") for name in ("ENGINE", "HOST", "PORT", "NAME")), *places])


def _of_cache(cache: Mapping[str, Any]) -> str:
    location = cache.get("LOCATION") or ""
    places: Iterable[object] = location if isinstance(location, list | tuple) else str(location).split(";")
    return " ".join([str(cache.get("BACKEND", "")), *sorted(_place(str(place)) for place in places)])


def _place(location: str) -> str:
    """Return where a server or file is, without who asks there and how."""
    scheme, separator, rest = location.rpartition("://")
    return f"{scheme}{separator}{rest.partition('?')[0].rpartition('@')[2]}"
