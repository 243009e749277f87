"""What ``manage.py check`` says."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.urls import include, path
from pytest_django import Settings

from health_check.system_checks import (
    ALL,
    check_distributions,
    check_endpoints,
    check_purposes,
    check_settings,
    check_store,
)
from health_check.views import HealthCheckView
from tests.checks import Alias, Broken, Exiting, ExitingAtConstruction, Fine, Telling, Unbuildable, Unnameable

Mount = Callable[..., None]


def ids(messages: Iterable[CheckMessage]) -> list[str]:
    """Return the ids of messages, after making sure that each helps."""
    messages = list(messages)
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


def view(*checks: object, **options: object) -> Callable[..., Any]:
    """Return a health view of these checks."""
    return HealthCheckView.as_view(checks=list(checks), **options)


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
    "store",
    [
        {"BACKEND": "no.such.Store"},
        {"BACKEND": "tests.checks.Fine"},
        {"BACKEND": "health_check.stores.memory.MemoryStore", "OPTIONS": {"x": 1}},
        {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"history_rows": -1}},
        {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"alias": "nowhere"}},
        {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"host": ""}},
    ],
)
def test_e001__unusable_store(store: dict[str, object], settings: Settings) -> None:
    """A store that cannot be made is an error before anybody asks for /health/."""
    settings.HEALTH_CHECK = {"STORE": store}
    messages = check_store()
    assert ids(messages) == ["health_check.E001"]
    assert str(store["BACKEND"]) in messages[0].msg


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
def test_w004__cache_that_shares_nothing(backend: str, settings: Settings) -> None:
    """A store on a cache of each process's own is no shared store."""
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}}
    messages = check_store()
    assert ids(messages) == ["health_check.W004"]
    assert "no other process sees" in messages[0].msg


def test_w004__not_for_a_shared_cache(settings: Settings) -> None:
    """A store on a cache that processes share is in order, whether its server is there or not."""
    location = "redis://127.0.0.1:1"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}}
    assert check_store() == []


def test_w005__place_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    """A path in a folder that is not there is found before the first request, and nothing is made for it."""
    path_of_store = tmp_path / "missing" / "health.sqlite3"
    settings.HEALTH_CHECK = {
        "STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": path_of_store}}
    }
    messages = check_store()
    assert ids(messages) == ["health_check.W005"]
    assert str(path_of_store.parent) in messages[0].msg
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("ready", {}, ["health_check.W006"]),
        ("kubernetes-readyz", {}, ["health_check.W006"]),
        ("ready", {"critical_service": False}, []),
        ("ready", {"scope": "host"}, []),
        ("health", {}, []),
        ("already", {}, []),
    ],
)
def test_w006__fleet_check_of_readiness(
    name: str, options: dict[str, object], expected: list[str], mount: Mount
) -> None:
    """A check that fails on all hosts at once is not to decide whether they get requests."""
    mount(path("probe/", view((Fine, {"scope": "fleet", **options})), name=name))
    assert ids(check_purposes()) == expected


@pytest.mark.parametrize("urlconf", ["no.such.urls", ""])
def test_e001__unusable_urlconf(urlconf: str, settings: Settings) -> None:
    """A URLconf that cannot be imported is an error that names it, not an exception."""
    settings.HEALTH_CHECK = {"URLCONF": urlconf}
    messages = [*check_settings(), *check_endpoints()]
    assert ids(messages) == ["health_check.E001"]
    assert f"HEALTH_CHECK['URLCONF'] is {urlconf!r}" in messages[0].msg


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
    settings.HEALTH_CHECK = {key: 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        messages = check_settings()
    assert ids(messages) == ["health_check.W002"]
    assert key in messages[0].msg
    assert remedy in str(messages[0].hint)


def test_e002__equal_names(mount: Mount) -> None:
    """Endpoints of one URL name are an error that names them."""
    mount(path("a/", view(Fine), name="x"), path("b/", view(Fine), name="x"), path("c/", view(Fine), name="y"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.E002"]
    assert "'x'" in messages[0].msg


def test_e002__name_like_a_route(mount: Mount) -> None:
    """A URL name that is another endpoint's route is the same name."""
    mount(path("a/", view(Fine)), path("b/", view(Fine), name="a/"))
    assert ids(check_endpoints()) == ["health_check.E002"]


def test_e002__not_for_namespaces(mount: Mount) -> None:
    """Equal names in different namespaces, and those of our own URLs, are nobody's mistake."""
    inner = [path("", view(Fine), name="home")]
    mount(
        path("a/", include((inner, "a"))), path("b/", include((inner, "b"))), path("h/", include("health_check.urls"))
    )
    assert check_endpoints() == []


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("no.such.Check", "'no.such.Check'"),
        ((Alias, {"alais": "x"}), "Did you mean 'alias'?"),
        ((Fine, {"scope": "galaxy"}), "'host' or 'fleet'"),
        (Unbuildable, "tests.checks.Unbuildable"),
        (ExitingAtConstruction, "SystemExit"),
        (Unnameable, "tests.checks.Unnameable"),
        (Telling, "tests.checks.Telling"),
        (42, "'42'"),
    ],
)
def test_e003__unusable_entry(item: object, word: str, mount: Mount) -> None:
    """An entry that cannot be used is an error that names the endpoint, the entry and the remedy."""
    mount(path("health/", view(Fine, item), name="health"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.E003"]
    assert "'health'" in messages[0].msg
    assert word in messages[0].msg
    assert "nobody meant" not in messages[0].msg


def test_e003__through_super_get_plugins(mount: Mount) -> None:
    """An entry that cannot be used is found where a view adds to ``super().get_plugins()``, too."""

    class Adding(HealthCheckView):
        checks = ("no.such.Check",)

        def get_plugins(self) -> Iterable[Any]:
            yield from super().get_plugins()
            yield Broken()

    mount(path("health/", Adding.as_view(), name="health"))
    assert ids(check_endpoints()) == ["health_check.E003"]


def test_e003__not_for_checks_that_fail(mount: Mount) -> None:
    """A system check runs no check."""
    mount(path("health/", view(Broken, Exiting), name="health"))
    assert check_endpoints() == []


def test_e003__not_for_plugins_that_need_a_request(mount: Mount) -> None:
    """A view that chooses its checks by the request is no mistake."""

    class Asking(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            yield self.request.path, Fine()

    mount(path("health/", Asking.as_view(), name="health"))
    assert check_endpoints() == []


def test_e004__equal_labels(mount: Mount) -> None:
    """Different checks of one label are an error that names it and the remedy."""
    mount(
        path("a/", view((Alias, {"alias": "a", "name": "db"})), name="a"),
        path("b/", view((Alias, {"alias": "b", "name": "db"})), name="b"),
    )
    messages = check_endpoints()
    assert ids(messages) == ["health_check.E004"]
    assert "Health endpoint 'b'" in messages[0].msg
    assert "'db'" in messages[0].msg
    assert "option `name`" in messages[0].msg


@pytest.mark.parametrize("options", [{"timeout": 1}, {"max_age": 1}])
def test_w003__different_budgets(options: dict[str, object], mount: Mount) -> None:
    """One check with different budgets is a warning on each of its endpoints."""
    mount(
        path("a/", view((Alias, {"alias": "a"})), name="a"),
        path("b/", view((Alias, {"alias": "a", **options})), name="b"),
        path("c/", view(Fine), name="c"),
    )
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W003", "health_check.W003"]
    assert "Alias(alias='a')" in messages[0].msg


def test_w003__not_for_criticality(mount: Mount) -> None:
    """Critical here and not there is what endpoints are for."""
    mount(path("a/", view(Fine), name="a"), path("b/", view((Fine, {"critical_service": False})), name="b"))
    assert check_endpoints() == []


def test_e005__beside_django_health_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution that brings a package of our name is an error that names it."""
    metadata = tmp_path / "django_health_check-3.20.8.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: django-health-check\nVersion: 3.20.8\n")
    (metadata / "top_level.txt").write_text("health_check\n")
    monkeypatch.syspath_prepend(tmp_path)
    messages = check_distributions()
    assert ids(messages) == ["health_check.E005"]
    assert "django-health-check" in messages[0].msg


def test_e005__not_for_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that brings a package of another name is none of our business."""
    metadata = tmp_path / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text("health_checks\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert check_distributions() == []


def test_e006__methods_of_version_4(mount: Mount) -> None:
    """A view that overrides what nobody calls, or with a coroutine what must be sync, is told so."""

    class Old(HealthCheckView):
        def get_checks(self) -> list[object]:
            return []

        async def get(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            """Answer nothing."""

    mount(path("health/", Old.as_view(checks=[]), name="health"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.E006"] * 2
    assert "get_checks() has no effect" in messages[0].msg
    assert "get() is async" in messages[1].msg
