"""Checks of django-watchman and django-alive, by the adapters of the guide, on what these packages have."""

from __future__ import annotations

import functools
import re
import sys
import types
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.servers import ROOT

GUIDE = ROOT / "docs" / "how-to" / "migrate-others.md"


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Any:
    """The adapters, as the guide has them, in a module of the site's."""
    for package in ("watchman", "django_alive"):
        pytest.importorskip(package)
    module = types.ModuleType("shop_adapters")
    monkeypatch.setitem(sys.modules, "shop_adapters", module)
    for code in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        if "check_status" in code:
            exec(code, vars(module))  # noqa: S102 - as a reader would
    down = [{"visa": {"ok": True}}, {"giro": {"ok": False, "error": "down"}}]
    functions = {"payments": down, "fine": {"ok": True}, "bare": {"ok": False}}
    vars(module).update({name: functools.partial(dict, {name: found}) for name, found in functions.items()})
    return module


def said(client: Client, mount: Mount, *checks: object) -> tuple[int, dict[str, str]]:
    """Return the status and the JSON of an endpoint of these checks."""
    mount(path("health/", HealthCheckView.as_view(checks=list(checks)), name="health"))
    response = client.get("/health/?format=json")
    return response.status_code, response.json()


@pytest.mark.django_db
def test_watchman__own_functions(mount: Mount, client: Client, adapters: Any, settings: Settings) -> None:
    """The functions of watchman and of a site are checks, with the name of what is not ok."""
    settings.MEDIA_ROOT = "media"
    entries = [
        (adapters.Watchman, {"function": f"{place}.{name}", "name": name})
        for place, name in [
            *(("watchman.checks", name) for name in ("caches", "databases", "storage")),
            *(("shop_adapters", name) for name in ("payments", "fine", "bare")),
        ]
    ]
    assert said(client, mount, *entries) == (
        500,
        {
            **dict.fromkeys(("caches", "databases", "storage"), "OK"),
            "payments": "unavailable: giro: down",
            "fine": "OK",
            "bare": "unavailable: bare: not ok",
        },
    )


@pytest.mark.django_db
def test_watchman__database_that_is_not_there(mount: Mount, client: Client, adapters: Any, settings: Settings) -> None:
    """What watchman finds wrong, with the exception's words, is what is said here."""
    from watchman import settings as watchman_settings

    before = watchman_settings.WATCHMAN_CACHES
    watchman_settings.WATCHMAN_CACHES = {"nowhere": {}}
    try:
        status, found = said(client, mount, (adapters.Watchman, {"function": "watchman.checks.caches", "name": "c"}))
    finally:
        watchman_settings.WATCHMAN_CACHES = before
    assert (status, found["c"]) == (500, "unavailable: nowhere: The connection 'nowhere' doesn't exist.")


@pytest.mark.django_db
def test_alive__functions(mount: Mount, client: Client, adapters: Any) -> None:
    """The functions of django-alive, with options, are checks."""
    place = "django_alive.checks"
    entries = [
        (adapters.Alive, {"function": f"{place}.check_database", "name": "db"}),
        (adapters.Alive, {"function": f"{place}.check_database", "options": {"query": "SELECT nonsense"}, "name": "q"}),
        (adapters.Alive, {"function": f"{place}.check_cache", "options": {"cache": "default"}, "name": "cache"}),
    ]
    assert said(client, mount, *entries) == (500, {"db": "OK", "q": "unavailable: database error", "cache": "OK"})
