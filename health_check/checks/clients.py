"""The clients that checks use: those of a Django cache that give up in time, and how long any client may take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.cache import BaseCache, caches
from django.core.cache.backends.memcached import PyMemcacheCache
from django.core.cache.backends.redis import RedisCache
from django.utils.module_loading import import_string

from health_check.backends import HealthCheck
from health_check.concurrency.connections import close_cache
from health_check.conf import seconds, settings

TIMEOUTS: tuple[tuple[type[BaseCache], tuple[str, ...]], ...] = (
    (RedisCache, ("socket_timeout", "socket_connect_timeout")),
    (PyMemcacheCache, ("timeout", "connect_timeout")),
)
"""Which options say how long the clients of Django's backends wait; by default they wait without end."""


@contextlib.contextmanager
def limited(alias: str, limit: float) -> Iterator[BaseCache]:
    """Yield a cache whose client waits for some seconds at most, where it has options for that.

    It is one of Django's own backends on a server, with connections of its own, which are closed; any other is the
    cache that this thread has.

    Args:
        alias: The cache, a key of ``CACHES``.
        limit: How long connecting, or any one answer, may take, in seconds.

    Raises:
        InvalidCacheBackendError: If there is no such cache, or no such backend.
    """
    parameters = dict(caches.settings.get(alias) or {})
    backend = _backend(parameters.pop("BACKEND", None))
    names = next((names for known, names in TIMEOUTS if issubclass(backend, known)), ())
    if not names:
        yield caches[alias]
        return
    options = dict(parameters.get("OPTIONS") or {})
    for name in names:
        options[name] = min(seconds(options.get(name)) or limit, limit)
    made = backend(parameters.pop("LOCATION", ""), {**parameters, "OPTIONS": options})
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):  # what is left of a connection that failed
            close_cache(made)


def _backend(path: object) -> type[Any]:
    """Return the class of a backend, or any other class where there is none: using the cache then raises."""
    try:
        found = import_string(str(path))
    except ImportError:
        return object
    return found if isinstance(found, type) else object


CLIENT_SHARE = 0.8
"""Which share of a check's budget its client may use."""


def client_timeout(check: HealthCheck) -> float:
    """Return how many seconds the client of a check may take.

    Args:
        check: The check; its ``timeout``, or that of its class, is its budget, else ``HEALTH_CHECK["TIMEOUT"]``.
    """
    return CLIENT_SHARE * (seconds(check.timeout) or seconds(type(check).timeout) or settings.TIMEOUT)
