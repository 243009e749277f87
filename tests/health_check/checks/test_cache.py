"""The check of a cache."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, ClassVar

import pytest
from django.core.cache.backends.locmem import LocMemCache
from pytest_django import Settings

from health_check import Cache
from health_check.registry.definitions import label_of

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
SECRET = "cannot reach redis://user:secret@cache.internal"


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
            raise OSError(SECRET)

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


def errors_of(check: Cache) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


def test_check__ok(cache: RecordingCache) -> None:
    """A cache that keeps what it is given is in order, and nothing is left in it."""
    assert errors_of(Cache()) == []
    assert {name for name, _, _ in cache.calls} == {"set", "get", "delete"}
    assert cache.left == []


def test_check__key_is_unique_and_expires(cache: RecordingCache) -> None:
    """Each run has a key of its own, of the prefix asked for, that the cache itself would forget."""
    for _ in range(3):
        assert errors_of(Cache(key_prefix="probe")) == []
    keys = [key for name, key, _ in cache.calls if name == "set"]
    timeouts = [timeout for name, _, timeout in cache.calls if name == "set"]
    assert len(set(keys)) == 3
    assert all(key.startswith("probe") for key in keys)
    assert all(0 < timeout <= 3600 for timeout in timeouts)


@pytest.mark.parametrize("failing", ["set", "get"])
def test_check__backend_fails(cache: RecordingCache, failing: str) -> None:
    """A cache that fails is unavailable; its own words are not shown, and nothing is left in it."""
    cache.failing.add(failing)
    [error] = errors_of(Cache())
    assert error.startswith("unavailable: ")
    assert "secret" not in error
    assert "internal" not in error
    assert cache.left == []


def test_check__package_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client of the cache is not installed, the message names it."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    }
    monkeypatch.setitem(sys.modules, "redis", None)
    assert errors_of(Cache()) == ["unavailable: a package that the cache needs is missing: redis"]


def test_check__delete_fails(cache: RecordingCache) -> None:
    """A key that could not be deleted makes no run raise."""
    cache.failing.add("delete")
    check = Cache()
    check.run_check()
    assert all(str(error).startswith(("unavailable: ", "unexpected result: ")) for error in check.errors)


def test_check__value_is_lost(settings: Settings) -> None:
    """A cache that keeps nothing is unavailable."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    [error] = errors_of(Cache())
    assert error.startswith("unavailable: ")


@pytest.mark.parametrize(
    "caches",
    [{"default": {"BACKEND": LOCMEM}}, {"default": {"BACKEND": LOCMEM}, "sessions": {"BACKEND": "no.such.Cache"}}],
)
def test_check__no_such_cache(settings: Settings, caches: dict[str, Any]) -> None:
    """An alias that is missing, or whose backend is, gives an error that names the alias."""
    settings.CACHES = caches
    [error] = errors_of(Cache(alias="sessions"))
    assert "'sessions'" in error


def test_check__files(settings: Settings, tmp_path: pathlib.Path) -> None:
    """A cache of files is left without a file."""
    settings.CACHES = {
        "default": {"BACKEND": LOCMEM},
        "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path)},
    }
    assert errors_of(Cache(alias="files")) == []
    assert list(tmp_path.rglob("*")) == []


def test_check__key_is_refused(settings: Settings) -> None:
    """A key that memcached would refuse is an unexpected result, as far as the cache says so."""
    settings.CACHES = {"default": {"BACKEND": LOCMEM}}
    [error] = errors_of(Cache(key_prefix="with spaces"))
    assert error.startswith("unexpected result: ")


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (Cache(), "Cache"),
        (Cache(alias="default"), "Cache"),
        (Cache(alias="sessions"), "Cache(alias='sessions')"),
        (Cache(key_prefix="probe"), "Cache"),
        (Cache(alias="sessions", key_prefix="probe"), "Cache(alias='sessions')"),
    ],
)
def test_label__alias_alone(check: Cache, label: str) -> None:
    """The label has the alias where it is not the default, and nothing else."""
    assert label_of(check) == label
