"""Monitors that were made for django-health-check 3.20 and cannot be changed: keys, and the word "working"."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.http import JsonResponse
from django.test import Client
from django.urls import include, path
from pytest_django import Settings

from health_check.registry.plugins import plugin_dir
from health_check.views import HealthCheckView
from health_check.views.mixins import CheckMixin
from tests.compat.shapes import Down, Named, Up
from tests.conftest import Mount
from tests.support.servers import ROOT

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:plugin_dir|.*identifier|HEALTH_CHECK:DeprecationWarning"),
]

WELL = {"max_disk_usage_percent": None}, {"max_memory_usage_percent": None}
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

KEYS = {
    "Cache": "Cache backend: default",
    "Cache(alias='sessions')": "Cache backend: sessions",
    "Database": "DatabaseBackend",
    "Disk": "DiskUsage",
    "Memory": "MemoryUsage",
    "Mail": "MailHealthCheck",
    "Storage": "DefaultFileStorageHealthCheck",
    "Migrations": "MigrationsHealthCheck",
    "Named: the search": "Named: the search",
    "Down": "Down",
}
"""The label of each check, and its key in the JSON of 3.20."""


@pytest.fixture(autouse=True)
def _site(mount: Mount, settings: Settings) -> None:
    """A site with the checks of most apps, and two of its own."""
    settings.CACHES = {"default": {**LOCMEM, "LOCATION": "a"}, "sessions": {**LOCMEM, "LOCATION": "b"}}
    checks: list[tuple[Any, dict[str, Any]]] = [
        ("health_check.Cache", {"alias": "default"}),
        ("health_check.Cache", {"alias": "sessions"}),
        *(("health_check." + name, {}) for name in ("Database", "Mail", "Storage", "Migrations")),
        ("health_check.Disk", WELL[0]),
        ("health_check.Memory", WELL[1]),
        (Named, {}),
        (Down, {}),
    ]
    for check, options in checks:
        plugin_dir.register(check, **options)
    mount(path("health/", include("health_check.urls")))


def said(client: Client, **headers: str) -> dict[str, str]:
    """Return what the endpoint says as JSON."""
    found: dict[str, str] = client.get("/health/?format=json", headers=headers).json()
    return found


def test_compat__keys_and_words(client: Client, settings: Settings) -> None:
    """With the setting the JSON has the keys and the word of 3.20, without it our own; the status is the same."""
    ours = said(client)
    assert sorted(ours) == sorted(KEYS)
    settings.HEALTH_CHECK = {"COMPAT": "3.20"}
    theirs = said(client)
    working = {KEYS[label]: "working" if text == "OK" else text for label, text in ours.items()}
    assert theirs == working
    assert set(theirs.values()) == {"working", "unavailable: it is down"}
    assert client.get("/health/").status_code == 500


def test_compat__other_faces(client: Client, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that looks for the word on the page, in the text or in the command finds it once for each check."""
    settings.HEALTH_CHECK = {"COMPAT": "3.20"}
    page = client.get("/health/", headers={"accept": "text/html"}).text
    assert len(re.findall(r"\bworking\b", page)) == len(KEYS) - 1
    text = client.get("/health/?format=text").text
    assert (text.count(": working\n"), text.count(": OK")) == (len(KEYS) - 1, 0)
    with pytest.raises(SystemExit, match="1"):
        call_command("health_check")
    assert capsys.readouterr().out.count(" working\n") == len(KEYS) - 1


def test_compat__own_view(mount: Mount, client: Client, settings: Settings) -> None:
    """Views that make JSON of plugins themselves have the words and the keys, too, by any of the ways there were."""

    class Own(HealthCheckView):
        def render_to_response_json(self, plugins: Any, status: int = 200) -> Any:
            ours = super().render_to_response_json(plugins, status).content.decode()
            keys = {key: plugin.pretty_status() for key, plugin in plugins.items()}
            names = {plugin.identifier(): plugin.pretty_status() for plugin in plugins}
            assert keys == names == json.loads(ours)
            assert list(self.filter_plugins("ready")) == ["Cache backend: sessions"]
            return JsonResponse(keys, status=status)

    settings.HEALTH_CHECK = {"COMPAT": "3.20", "SUBSETS": {"ready": ["Cache backend: sessions"]}}
    entries = [("health_check.Cache", {"alias": "sessions"}), Up, "health_check.Database"]
    mount(path("health/", Own.as_view(checks=entries)))
    assert said(client) == {"Cache backend: sessions": "working", "Up": "working", "DatabaseBackend": "working"}


def test_compat__own_view_with_the_mixin(settings: Settings) -> None:
    """A view or command that has the checks from the mixin has the words and the keys, too."""
    settings.HEALTH_CHECK = {"COMPAT": "3.20"}
    checker = CheckMixin()
    assert [str(error) for error in checker.run_check()] == ["unavailable: it is down"]
    assert {key: plugin.pretty_status() for key, plugin in checker.plugins.items()} == {
        key: "unavailable: it is down" if key == "Down" else "working" for key in KEYS.values()
    }
    assert [plugin.identifier() for plugin in checker.plugins.values()] == list(checker.plugins)


def test_compat__names_that_two_would_have(mount: Mount, client: Client, settings: Settings) -> None:
    """No check vanishes behind another of the same key: then both have their labels."""
    settings.HEALTH_CHECK = {"COMPAT": "3.20"}
    entries = ["health_check.Database", ("health_check.Database", {"alias": "missing"})]
    mount(path("health/", HealthCheckView.as_view(checks=entries)))
    assert list(said(client)) == ["Database", "Database(alias='missing')"]


def test_compat__fresh_answers_change_with_the_setting(mount: Mount, client: Client, settings: Settings) -> None:
    """An answer that was rendered before is none of the other setting's."""
    mount(path("health/", HealthCheckView.as_view(checks=[Up]), name="health"))
    for compat, word in (("3.20", "working"), (None, "OK"), ("3.20", "working")):
        settings.HEALTH_CHECK = {"COMPAT": compat, "MAX_AGE": 60, "MAX_CONCURRENCY": 4}
        assert [said(client), said(client)] == [{"Up": word}] * 2


def test_guide__has_each_key() -> None:
    """The guide has a row for each key that differs."""
    guide = (ROOT / "docs/how-to/migrate.md").read_text()
    for label, key in KEYS.items():
        if label != key:
            assert re.search(rf"^\| [^|]*`{re.escape(key)}`[^|]*\|[^|]*\| `{re.escape(label)}`", guide, re.M), key
