"""What the checks of services share: a time budget, a share of it for the client, caches that give up in time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from django.core.cache import BaseCache, caches
from django.core.cache.backends.memcached import PyMemcacheCache
from django.core.cache.backends.redis import RedisCache

from health_check.backends import ConciseRepr, HealthCheck
from health_check.concurrency.connections import close_cache
from health_check.conf import seconds, settings

CLIENT_SHARE = 0.8
"""Which share of a check's budget its client may use."""


@dataclasses.dataclass(repr=False)
class ServiceCheck(ConciseRepr, HealthCheck):
    """Ask a service within a time budget: a base class.

    Args:
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False, kw_only=True)

    def client_timeout(self) -> float:
        """Return how many seconds the client may take: fewer than the check, so that the client's error is reported."""
        return CLIENT_SHARE * (seconds(self.timeout) or seconds(type(self).timeout) or settings.TIMEOUT)


@contextlib.contextmanager
def needs(package: str, *, extra: str, what: str) -> Iterator[None]:
    """Name the extra that brings a package, where importing that fails.

    Args:
        package: The name of the package on PyPI.
        extra: The extra of django-health-exporter.
        what: What needs it.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{what} needs {package}: pip install 'django-health-exporter[{extra}]'") from error


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
    cache: Any = caches[alias]
    names = next((names for known, names in TIMEOUTS if isinstance(cache, known)), ())
    if not names:
        yield cache
        return
    parameters = dict(caches.settings[alias])
    options = dict(parameters.get("OPTIONS") or {})
    for name in names:
        options[name] = min(seconds(options.get(name)) or limit, limit)
    made = type(cache)(parameters.pop("LOCATION", ""), {**parameters, "OPTIONS": options})
    try:
        yield made
    finally:
        with contextlib.suppress(Exception):  # what is left of a connection that failed
            close_cache(made)
