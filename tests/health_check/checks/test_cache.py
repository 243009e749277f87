"""The check of a cache."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, ClassVar

import pytest
from django.core.cache.backends.locmem import LocMemCache
from pytest_django import Settings

from health_check import Cache
from tests.support.checks import messages_of

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


class RecordingCache(LocMemCache):
    """A cache that notes what it is asked, and fails where it is told to."""

    calls: ClassVar[list[tuple[str, str, Any]]] = []
    failing: ClassVar[set[str]] = set()
    forgetful: ClassVar[bool] = False

    def set(self, key: str, value: Any, timeout: Any = None, version: int | None = None) -> None:
        super().set(key, value, timeout=timeout, version=version)
        self._note("set", key, timeout)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        self._note("get", key, None)
        return super().get(key, default, version=version)

    def delete(self, key: str, version: int | None = None) -> bool:
        self._note("delete", key, None)
        return super().delete(key, version=version)

    def _note(self, name: str, key: str, value: Any) -> None:
        self.calls.append((name, key, value))
        if name in self.failing:
            raise OSError("cannot reach redis://user:secret@cache.internal")

    @property
    def left(self) -> list[str]:
        """The keys that are in it."""
        return list(self._cache)  # type: ignore[attr-defined]


@pytest.fixture
def cache(settings: Settings) -> RecordingCache:
    """The default cache, which notes what it is asked."""
    from django.core.cache import caches

    RecordingCache.calls.clear()
    RecordingCache.failing.clear()
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.RecordingCache", "LOCATION": "recording"}}
    found = caches["default"]
    assert isinstance(found, RecordingCache)
    found.clear()
    return found


def test_check__ok(cache: RecordingCache) -> None:
    """Each run has a key of its own, of the prefix asked for, that the cache itself would forget, and leaves none."""
    for _ in range(3):
        assert messages_of(Cache(key_prefix="probe")) == []
    keys = [key for name, key, _ in cache.calls if name == "set"]
    timeouts = [timeout for name, _, timeout in cache.calls if name == "set"]
    assert len(set(keys)) == 3
    assert all(key.startswith("probe") for key in keys)
    assert all(0 < timeout <= 3600 for timeout in timeouts)
    assert {name for name, _, _ in cache.calls} == {"set", "get", "delete"}
    assert cache.left == []


@pytest.mark.parametrize(
    ("failing", "errors"),
    [
        ("set", ["unavailable: cannot write to the cache (OSError)"]),
        ("get", ["unavailable: cannot read from the cache (OSError)"]),
        ("delete", []),
    ],
)
def test_check__backend_fails(cache: RecordingCache, failing: str, errors: list[str]) -> None:
    """A cache that fails is unavailable; its own words are not shown, and nothing is left in it if that can be."""
    cache.failing.add(failing)
    assert messages_of(Cache()) == errors
    assert cache.left == [] or failing == "delete"


def test_check__package_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client of the cache is not installed, the message names it."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    }
    monkeypatch.setitem(sys.modules, "redis", None)
    assert messages_of(Cache()) == ["unavailable: a package that the cache needs is missing: redis"]


@pytest.mark.parametrize(
    ("backend", "options", "error"),
    [
        ("dummy.DummyCache", {}, "unavailable: the cache did not return the value that was set"),
        (
            "locmem.LocMemCache",
            {"key_prefix": "with spaces"},
            "unexpected result: the cache refused the key or the value",
        ),
    ],
)
def test_check__value_is_lost(settings: Settings, backend: str, options: dict[str, Any], error: str) -> None:
    """A cache that keeps nothing is unavailable; a key that memcached would refuse is an unexpected result."""
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    assert messages_of(Cache(**options)) == [error]


@pytest.mark.parametrize(
    "caches",
    [{"default": {"BACKEND": LOCMEM}}, {"default": {"BACKEND": LOCMEM}, "sessions": {"BACKEND": "no.such.Cache"}}],
)
def test_check__no_such_cache(settings: Settings, caches: dict[str, Any]) -> None:
    """An alias that is missing, or whose backend is, gives an error that names the alias."""
    settings.CACHES = caches
    [error] = messages_of(Cache(alias="sessions"))
    assert "'sessions'" in error


def test_check__files(settings: Settings, tmp_path: pathlib.Path) -> None:
    """A cache of files is left without a file."""
    settings.CACHES = {
        "default": {"BACKEND": LOCMEM},
        "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path)},
    }
    assert messages_of(Cache(alias="files")) == []
    assert list(tmp_path.rglob("*")) == []
