"""What ``manage.py check`` says about the settings and the store."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from health_check.management.system_checks.settings import check_settings, check_store
from health_check.stores.sqlite import SQLiteStore
from tests.support.messages import assert_said

SQLITE = "health_check.stores.sqlite.SQLiteStore"
CACHE = "health_check.stores.cache.DjangoCacheStore"


def test_all__are_registered() -> None:
    """Django runs all of them, and a site without mistakes hears nothing."""
    found = [message for message in run_checks(tags=["health_check"]) if str(message.id).startswith("health_check.")]
    assert found == []


@pytest.mark.filterwarnings("ignore:HEALTH_CHECK:DeprecationWarning")
@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (
            {"TIMEOUT": -1, "TRACES": "x"},
            [("E001", "HEALTH_CHECK['TIMEOUT'] is -1"), ("E001", "HEALTH_CHECK['TRACES'] is 'x'")],
        ),
        ({"URLCONF": "no.such.urls"}, [("E001", "HEALTH_CHECK['URLCONF'] is 'no.such.urls'")]),
        *(({"COMPAT": value}, [("E001", "HEALTH_CHECK['COMPAT'] is", '"3.20"')]) for value in ("3.24", 3.2, "", True)),
        ({"URLCONF": ""}, [("E001", "HEALTH_CHECK['URLCONF'] is ''")]),
        *(
            ({"ACCESS": access}, [("E001", words)])
            for access, words in [
                ({"DETAILS": "sometimes"}, "ACCESS DETAILS is 'sometimes': use one of 'always', 'authorized', 'never'"),
                ({"NETWORKS": ["everywhere"]}, "ACCESS NETWORKS has 'everywhere'"),
                ({"TOKEN": "secret-of-mine"}, "HEALTH_CHECK['ACCESS'] has no key 'TOKEN'. Did you mean 'TOKENS'?"),
                ("secret-of-mine", "HEALTH_CHECK['ACCESS'] is '…': use a dict"),
                ({"TOKENS": "secret-of-mine"}, "ACCESS TOKENS is not a list of tokens"),
            ]
        ),
        *(
            ({"STORE": store}, [("E001", str(store["BACKEND"]))])
            for store in (
                {"BACKEND": "no.such.Store"},
                {"BACKEND": "tests.support.checks.Fine"},
                {"BACKEND": "health_check.stores.memory.MemoryStore", "OPTIONS": {"x": 1}},
                {"BACKEND": SQLITE, "OPTIONS": {"path": ""}},
                {"BACKEND": CACHE, "OPTIONS": {"alias": "nowhere"}},
                {"BACKEND": CACHE, "OPTIONS": {"host": ""}},
            )
        ),
        ({"TIMEOUTS": 1}, [("W001", "Did you mean 'TIMEOUT'?")]),
        ({"DISABLE_THREADING": 1}, [("W002", "DISABLE_THREADING'] is deprecated", "MAX_CONCURRENCY")]),
        ({"DISK_USAGE_MAX": 1}, [("W002", "DISK_USAGE_MAX'] is deprecated", "max_disk_usage_percent")]),
        ({"MEMORY_MIN": 1}, [("W002", "MEMORY_MIN'] is deprecated", "min_gibibytes_available")]),
        ({"SUBSETS": {}}, [("W002", "SUBSETS'] is deprecated", "one HealthCheckView per subset")]),
        ({"MAIL_TIMEOUT": 1}, [("W002", "MAIL_TIMEOUT'] has no effect", "option timeout")]),
    ],
)
def test_settings__what_is_said(
    configured: dict[str, object], expected: list[tuple[str, ...]], settings: Settings
) -> None:
    """What cannot be used is an error, once, without tokens; what does nothing, or is outdated, a warning."""
    settings.HEALTH_CHECK = configured
    messages = check_settings()
    assert_said(messages, *expected)
    assert [message.is_serious() for message in messages] == [number == "E001" for number, *_ in expected]
    assert "secret-of-mine" not in str(messages)


def test_urlconf__that_fails(settings: Settings) -> None:
    """A root URLconf that cannot be imported is an error that names it."""
    settings.ROOT_URLCONF = "tests.support.site.broken_urls"
    assert_said(check_settings(), ("E001", "ROOT_URLCONF"))


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache", "redis.RedisCache"])
def test_w004__cache_that_shares_nothing(backend: str, settings: Settings) -> None:
    """A store on a cache of each process's own is no shared store; one on a server is, whether that is up or not."""
    configured = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {"default": configured}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": CACHE}}
    assert_said(check_store(), *([] if backend == "redis.RedisCache" else [("W004", "no other process sees")]))


def test_w005__place_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    """A path in a folder that is not there is found before the first request, and nothing is made for it."""
    for folder, expected in ((tmp_path / "missing", [("W005", str(tmp_path / "missing"))]), (tmp_path, [])):
        settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": folder / "health.sqlite3"}}}
        assert_said(check_store(), *expected)
    assert list(tmp_path.iterdir()) == []


def test_w030__release_folder(settings: Settings, tmp_path: Path) -> None:
    """A site in a folder of one release has to be named, or its records end with the release."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": tmp_path / "health.sqlite3"}}}
    settings.BASE_DIR = "/srv/shop/releases/20261127"
    assert_said(check_store(), ("W030", "BASE_DIR is /srv/shop/releases/20261127", "HEALTH_CHECK['SITE']"))
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
    assert_said(check_store(), ("W030", "since its last start this has changed: cache default "))
