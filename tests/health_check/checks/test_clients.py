"""The clients of caches for checks."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError
from django.core.cache.backends.redis import RedisCache
from pytest_django import Settings

from health_check.checks.clients import limited

REDIS = "django.core.cache.backends.redis.RedisCache"
MEMCACHED = "django.core.cache.backends.memcached.PyMemcacheCache"


class OwnCache(RedisCache):
    """A backend of a project's own."""


def options_of(settings: Settings, backend: str, **options: object) -> Any:
    """Return the options that the client of such a cache gets, where it may take 3 s."""
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1", "OPTIONS": options}}
    with limited("default", 3.0) as cache:
        assert cache is not caches["default"]
        made: Any = cache
        return made._options


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        (REDIS, ["socket_timeout", "socket_connect_timeout"]),
        (f"{__name__}.OwnCache", ["socket_timeout", "socket_connect_timeout"]),
        (MEMCACHED, ["timeout", "connect_timeout"]),
    ],
)
def test_limited__options(backend: str, names: list[str], settings: Settings) -> None:
    """A client waits as long as it may, or as the site says where that is less; all else is as the site says."""
    first, second = names
    found = options_of(settings, backend)
    assert {name: found[name] for name in names} == {first: 3.0, second: 3.0}
    found = options_of(settings, backend, **{first: 1, second: 9, "max_pool_size": 7})
    assert {name: found[name] for name in (*names, "max_pool_size")} == {first: 1.0, second: 3.0, "max_pool_size": 7}
    assert settings.CACHES["default"]["OPTIONS"] == {first: 1, second: 9, "max_pool_size": 7}


def test_limited__other_backends(settings: Settings) -> None:
    """A backend that is not known to wait is the one that the thread has."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with limited("default", 3.0) as cache:
        assert cache is caches["default"]


@pytest.mark.parametrize("configured", [{}, {"other": {"BACKEND": "no.such.Cache"}}])
def test_limited__no_such_cache(configured: dict[str, Any], settings: Settings) -> None:
    """What Django has to say of a cache that is not there, it says."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, **configured}
    with pytest.raises(InvalidCacheBackendError), limited("other", 3.0):
        pass
