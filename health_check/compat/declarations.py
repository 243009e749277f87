"""What was registered as in django-health-check 3.x, as it is written in ``checks``."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from health_check.compat import names
from health_check.conf import legacy_number

NEW_NAMES = {path: names.CHECKS[old] for old in names.CHECKS if (path := names.target(old))}
"""What is written here for each check under its old name."""

SETTINGS: Mapping[str, tuple[str, str]] = {
    "health_check.Cache": ("key_prefix", "HEALTHCHECK_CACHE_KEY"),
    "health_check.Migrations": ("alias", "HEALTHCHECK_MIGRATIONS_DB"),
    "health_check.contrib.celery.Ping": ("timeout", "HEALTHCHECK_CELERY_PING_TIMEOUT"),
}
"""The settings that checks of 3.x read, and the options that take their place."""


def written(entries: Iterable[tuple[Any, Mapping[str, Any]]]) -> str:
    """Return what to write in ``checks`` for what was registered."""
    found = dict.fromkeys(_entry(plugin, options) for plugin, options in entries)
    return f"[{', '.join(found)}]"


def _entry(plugin: Any, options: Mapping[str, Any]) -> str:
    path = plugin if isinstance(plugin, str) else f"{plugin.__module__}.{plugin.__qualname__}"
    name = NEW_NAMES.get(path, path)
    shown = {key: repr(value) for key, value in options.items() if (key, value) != ("alias", "default")}
    return written_entry(name, {**_settings_of(name), **shown})


def written_entry(name: str, options: Mapping[str, str]) -> str:
    """Return a check and its options, which are written already, as they are written in ``checks``."""
    pairs = ", ".join(f'"{key}": {value}' for key, value in options.items())
    return f'("{name}", {{{pairs}}})' if pairs else f'"{name}"'


def _settings_of(name: str) -> dict[str, str]:
    """Return the options of a check that were settings, as they are written."""
    if name == "health_check.contrib.redis.Redis":
        return _redis()
    option, key = SETTINGS.get(name, ("", ""))
    found = {option: f"settings.{key}"} if hasattr(settings, key) else {}
    with warnings.catch_warnings(), contextlib.suppress(ImproperlyConfigured):
        warnings.simplefilter("ignore", DeprecationWarning)  # check_settings reports these
        disk, memory = legacy_number("DISK_USAGE_MAX", 90), legacy_number("MEMORY_MIN")
        if name == "health_check.Disk" and disk != 90:
            found["max_disk_usage_percent"] = repr(disk)
        if name == "health_check.Memory" and memory:
            found["min_gibibytes_available"] = f"{memory / 1024:.3g}"
    return found


def _redis() -> dict[str, str]:
    url = "settings.REDIS_URL" if hasattr(settings, "REDIS_URL") else '"redis://localhost/1"'
    if not getattr(settings, "HEALTHCHECK_REDIS_URL_OPTIONS", None):
        return {"url": url}
    return {"client_factory": f"lambda: redis.Redis.from_url({url}, **settings.HEALTHCHECK_REDIS_URL_OPTIONS)"}
