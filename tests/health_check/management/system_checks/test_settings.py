"""What ``manage.py check`` says about the settings and the store."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from health_check.management.system_checks import ALL, check_settings, check_store
from health_check.stores.sqlite import SQLiteStore
from tests.support.messages import ids

SQLITE = "health_check.stores.sqlite.SQLiteStore"
CACHE = "health_check.stores.cache.DjangoCacheStore"


def test_all__are_registered_and_satisfied() -> None:
    """Django runs all of them, and a site without mistakes hears nothing."""
    found = [message for message in run_checks(tags=["health_check"]) if str(message.id).startswith("health_check.")]
    assert found == []
    assert [check() for check in ALL] == [[]] * len(ALL)


def test_e001__unusable_setting(settings: Settings) -> None:
    """A setting that cannot be used is an error for each."""
    settings.HEALTH_CHECK = {"TIMEOUT": -1, "TRACES": "x"}
    messages = check_settings()
    assert ids(messages) == ["health_check.E001", "health_check.E001"]
    assert "HEALTH_CHECK['TIMEOUT'] is -1" in messages[0].msg
    assert messages[0].is_serious()


def test_e001__through_django(settings: Settings) -> None:
    """``manage.py check`` says so, and is not stopped by it."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": "many", "MAX_AGE": "x"}
    found = [message.id for message in run_checks(tags=["health_check"]) if str(message.id).startswith("health_check.")]
    assert found == ["health_check.E001", "health_check.E001"]


@pytest.mark.parametrize(
    ("access", "words"),
    [
        ({"DETAILS": "sometimes"}, "ACCESS DETAILS is 'sometimes': use one of 'always', 'authorized', 'never'"),
        ({"NETWORKS": ["everywhere"]}, "ACCESS NETWORKS has 'everywhere'"),
        ({"TOKEN": "secret-of-mine"}, "HEALTH_CHECK['ACCESS'] has no key 'TOKEN'. Did you mean 'TOKENS'?"),
        ("secret-of-mine", "HEALTH_CHECK['ACCESS'] is '…': use a dict"),
        ({"TOKENS": "secret-of-mine"}, "ACCESS TOKENS is not a list of tokens"),
    ],
)
def test_e001__unusable_access(access: object, words: str, settings: Settings) -> None:
    """What is wrong with the rules of access is said once, and no token with it."""
    settings.HEALTH_CHECK = {"ACCESS": access}
    messages = check_settings()
    assert ids(messages) == ["health_check.E001"]
    assert words in messages[0].msg
    assert "secret-of-mine" not in str(messages[0])


@pytest.mark.parametrize(
    "store",
    [
        {"BACKEND": "no.such.Store"},
        {"BACKEND": "tests.support.checks.Fine"},
        {"BACKEND": "health_check.stores.memory.MemoryStore", "OPTIONS": {"x": 1}},
        {"BACKEND": SQLITE, "OPTIONS": {"path": ""}},
        {"BACKEND": CACHE, "OPTIONS": {"alias": "nowhere"}},
        {"BACKEND": CACHE, "OPTIONS": {"host": ""}},
    ],
)
def test_e001__unusable_store(store: dict[str, object], settings: Settings) -> None:
    """A store that cannot be made is an error before anybody asks for /health/."""
    settings.HEALTH_CHECK = {"STORE": store}
    messages = check_store()
    assert ids(messages) == ["health_check.E001"]
    assert str(store["BACKEND"]) in messages[0].msg


def test_w001__unknown_setting(settings: Settings) -> None:
    """A key that does nothing is a warning, with the one that may have been meant."""
    settings.HEALTH_CHECK = {"TIMEOUTS": 1}
    messages = check_settings()
    assert ids(messages) == ["health_check.W001"]
    assert "Did you mean 'TIMEOUT'?" in messages[0].msg
    assert not messages[0].is_serious()


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("DISABLE_THREADING", "MAX_CONCURRENCY"),
        ("DISK_USAGE_MAX", "max_disk_usage_percent"),
        ("MEMORY_MIN", "min_gibibytes_available"),
        ("SUBSETS", "HealthCheckView"),
    ],
)
def test_w002__outdated_setting(key: str, remedy: str, settings: Settings) -> None:
    """A setting of version 3.x is a warning that says what to write instead."""
    settings.HEALTH_CHECK = {key: {} if key == "SUBSETS" else 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        messages = check_settings()
    assert ids(messages) == ["health_check.W002"]
    assert key in messages[0].msg
    assert remedy in str(messages[0].hint)


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
def test_w004__cache_that_shares_nothing(backend: str, settings: Settings) -> None:
    """A store on a cache of each process's own is no shared store."""
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": CACHE}}
    messages = check_store()
    assert ids(messages) == ["health_check.W004"]
    assert "no other process sees" in messages[0].msg


def test_w004__not_for_a_shared_cache(settings: Settings) -> None:
    """A store on a cache that processes share is in order, whether its server is there or not."""
    location = "redis://127.0.0.1:1"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": CACHE}}
    assert check_store() == []


def test_w005__place_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    """A path in a folder that is not there is found before the first request, and nothing is made for it."""
    path_of_store = tmp_path / "missing" / "health.sqlite3"
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": path_of_store}}}
    messages = check_store()
    assert ids(messages) == ["health_check.W005"]
    assert str(path_of_store.parent) in messages[0].msg
    assert list(tmp_path.iterdir()) == []


def test_w005__not_for_a_file_yet_to_be_made(settings: Settings, tmp_path: Path) -> None:
    """A folder that is there is all that a file needs."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": tmp_path / "health.sqlite3"}}}
    assert check_store() == []
    assert list(tmp_path.iterdir()) == []


def test_w030__release_folder(settings: Settings, tmp_path: Path) -> None:
    """A site in a folder of one release has to be named, or its records end with the release."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": tmp_path / "health.sqlite3"}}}
    settings.BASE_DIR = "/srv/shop/releases/20261127"
    (message,) = check_store()
    assert message.id == "health_check.W030"
    assert "BASE_DIR is /srv/shop/releases/20261127" in message.msg
    assert message.hint is not None
    assert "HEALTH_CHECK['SITE']" in message.hint
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "SITE": "shop"}
    assert check_store() == []


def test_w030__another_site_than_at_the_last_start(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that differ from start to start are named."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE}}
    with contextlib.closing(SQLiteStore()) as store:
        store.probe()
    assert check_store() == []
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/x"}}
    (message,) = check_store()
    assert message.id == "health_check.W030"
    assert "since its last start this has changed: cache default " in message.msg
