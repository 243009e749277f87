"""The health view and the metrics page with checks and settings that cannot be used: never an error page of Django."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.registry.catalogue import CONSTRUCTION_SECONDS
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support import checks
from tests.support.bench import SECONDS

FORMATS = ["html", "json", "text", "health+json", "rss", "atom"]
CONCURRENCY = pytest.mark.parametrize("threads", [0, 4])
CACHE_STORE = "health_check.stores.cache.DjangoCacheStore"
SECRET = "a text that nobody meant for readers"


UNUSABLE: list[tuple[object, str, str]] = [
    ("no.such.Check", "no.such.Check", "Correct the path"),
    ("tests.support.checks.Missing", "tests.support.checks.Missing", "Correct the path"),
    ("nonsense", "nonsense", "Correct the path"),
    ("", "", "Correct the path"),
    ("tests.support.checks.dataclasses", "tests.support.checks.dataclasses", "subclass"),
    (int, "builtins.int", "subclass"),
    (42, "42", "subclass"),
    (None, "None", "subclass"),
    ((checks.Fine, {"nonsense": 1}), "tests.support.checks.Fine", "nonsense"),
    ((checks.Alias, {"alais": "default"}), "tests.support.checks.Alias", "alias"),
    ((checks.Fine, {"timeout": -1}), "tests.support.checks.Fine", "seconds above 0"),
    ((checks.Fine, "options"), "tests.support.checks.Fine", "dict"),
    (checks.Telling, "tests.support.checks.Telling", "options"),
    (checks.Unbuildable, "Unbuildable", "__init__"),
    (checks.ExitingAtConstruction, "ExitingAtConstruction", "__init__"),
    (checks.Unnameable, "tests.support.checks.Unnameable", "__repr__"),
]


@CONCURRENCY
@pytest.mark.parametrize(("entry", "path_of_entry", "remedy"), UNUSABLE)
def test_unusable_entry__is_a_failing_check(
    settings: Settings,
    mount_checks: Mount,
    client: Client,
    threads: int,
    entry: object,
    path_of_entry: str,
    remedy: str,
) -> None:
    """An entry that cannot be used is a critical check in error that names it and the remedy; the others run.

    Every format and the metrics page show it.
    """
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    mount_checks(checks.Fine if entry != checks.Fine else checks.Broken, entry)
    for name in FORMATS:
        response = client.get("/health/", {"format": name})
        assert response.status_code == (200 if name in ("rss", "atom") else 500)
        assert remedy in response.content.decode()
        assert SECRET not in response.content.decode()
    found = client.get("/health/?format=json").json()
    assert found.pop("Fine") == "OK"
    [(label, message)] = found.items()
    assert path_of_entry in label
    assert path_of_entry in message
    assert remedy in message
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert 'django_health_check_endpoint_status{url_name="health"} 0.0' in metrics.content.decode()


@CONCURRENCY
@pytest.mark.parametrize("check", [checks.Blown, checks.Exiting, checks.BaseBlown, checks.AsyncExiting])
def test_check__raises_anything(
    settings: Settings, mount_checks: Mount, client: Client, threads: int, check: type
) -> None:
    """Whatever a check raises is an unknown error, whose text nobody sees; the others are shown as they are."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    mount_checks(checks.Broken, check)
    for name in FORMATS:
        response = client.get("/health/", {"format": name})
        text = response.content.decode()
        assert response.status_code == (200 if name in ("rss", "atom") else 500)
        assert "unknown error" in text
        assert "Something went wrong!" in text
        assert SECRET not in text
    assert client.get("/metrics").status_code == 200


@pytest.fixture
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Log nothing: pytest-xdist cannot send a report with a lone surrogate in it."""
    caplog.set_level(logging.CRITICAL + 1, "health_check")


@pytest.mark.usefixtures("_quiet")
@pytest.mark.parametrize(
    "text",
    [
        "größe 🐍",
        "<b>&\"'",
        "\x1b[31mred\x1b[0m",
        "nul \x00",
        "lone \udcff surrogate",
        "a\n\r\u2028\n",
        "%s {} \\",
        'a"b\\c\nd',
        "a b",
    ],
)
def test_text__of_any_kind(mount_checks: Mount, client: Client, text: str) -> None:
    """Whatever a check is called, and its error says, a file name that is no UTF-8 say, each format can be sent."""
    mount_checks((checks.Telling, {"message": text, "name": text}))
    for name in FORMATS:
        response = client.get("/health/", {"format": name})
        assert response.status_code == (200 if name in ("rss", "atom") else 500)
        document = response.content.decode()
        if name in ("rss", "atom"):
            ET.fromstring(document)  # noqa: S314 - our own output
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("value", [None, 42, "text", {"a": 1}, {"MAX_AGE": -1}, {"MAX_CONCURRENCY": "many"}])
def test_settings__unusable(settings: Settings, mount_checks: Mount, client: Client, value: Any) -> None:
    """Settings that cannot be used are said in plain words, not on an error page; unknown ones do not matter."""
    mount_checks(checks.Fine)
    settings.HEALTH_CHECK = value
    response = client.get("/health/")
    if value == {"a": 1}:
        assert response.status_code == 200
        return
    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "HEALTH_CHECK" in response.content.decode()
    metrics = client.get("/metrics")
    if isinstance(value, dict):
        assert metrics.status_code == 200
    else:  # nobody knows who may see them
        assert (metrics.status_code, "HEALTH_CHECK" in metrics.content.decode()) == (500, True)


@pytest.mark.parametrize("value", [None, 42, "tests.support.checks.Fine", {"tests.support.checks.Fine": {}}])
def test_checks__no_list(mount: Mount, client: Client, value: Any) -> None:
    """A value of ``checks`` that is no list is understood as one entry, usable or not."""
    mount(path("health/", HealthCheckView.as_view(checks=value), name="health"))
    response = client.get("/health/?format=json")
    assert response.status_code == (200 if value == "tests.support.checks.Fine" else 500)
    assert len(response.json()) == 1


BROKEN_SETTINGS: list[Any] = [
    5,
    *(
        {"STORE": value}
        for value in (5, {"BACKEND": "no.such.Store"}, {"BACKEND": CACHE_STORE, "OPTIONS": {"alias": "x"}})
    ),
    *({"ACCESS": value} for value in (5, {"NETWORKS": ["nowhere"]})),
    *(
        {name: "nonsense"}
        for name in ("URLCONF", "DURATION_BUCKETS", "SCHEDULER", "COMPAT", "WARNINGS_AS_ERRORS", "WAIT")
    ),
    *({name: 5} for name in ("RELEASE", "SITE", "EXPORTERS", "TRACES")),
    {"MAX_CONCURRENCY": "many"},
]


@pytest.mark.parametrize("broken", BROKEN_SETTINGS, ids=str)
def test_endpoint_without_checks__needs_no_settings(settings: Settings, mount: Mount, broken: Any) -> None:
    """A process that is alive is not to be restarted for its settings; readiness is another matter."""
    mount(
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
        path("ready/", HealthCheckView.as_view(checks=[], readiness=True), name="ready"),
    )
    settings.HEALTH_CHECK = broken
    client = Client()
    assert [client.get("/live/", {"format": name}).status_code for name in FORMATS] == [200] * len(FORMATS)
    assert client.options("/live/").status_code == 200
    assert asyncio.run(AsyncClient().get("/live/")).status_code == 200
    if "STORE" in str(broken):
        assert client.get("/ready/").status_code == 500


def test_endpoint_without_checks__waits_for_no_constructor(
    settings: Settings, mount: Mount, gate: threading.Event
) -> None:
    """What hangs in the checks of other endpoints does not hold up an answer that needs none."""

    class Hanging(HealthCheck):
        def __init__(self) -> None:
            gate.wait(SECONDS)

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4}
    mount(
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
        path("health/", HealthCheckView.as_view(checks=[Hanging]), name="health"),
    )
    began = time.monotonic()
    assert [Client().get("/live/", {"format": name}).status_code for name in FORMATS] == [200] * len(FORMATS)
    assert asyncio.run(AsyncClient().get("/live/")).status_code == 200
    assert time.monotonic() - began < CONSTRUCTION_SECONDS
