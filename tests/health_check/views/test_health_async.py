"""The health view under ASGI."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import AsyncExiting, AsyncFine, Broken, Exiting, Fine

SETTINGS = pytest.mark.parametrize(
    "configuration", [{}, {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}], ids=["here", "threads"]
)


def get(url: str, **options: Any) -> HttpResponse:
    """Return the answer of the site, asked by ASGI."""
    response: object = async_to_sync(AsyncClient().get)(url, **options)
    assert isinstance(response, HttpResponse)
    return response


@SETTINGS
@pytest.mark.parametrize("name", ["html", "json", "text", "health+json", "rss", "atom"])
def test_get__as_under_wsgi(settings: Settings, mount_checks: Mount, configuration: dict[str, int], name: str) -> None:
    """Status, type and headers are those that WSGI gives."""
    settings.HEALTH_CHECK = configuration
    mount_checks(Fine, AsyncFine, Broken)
    sync, asynchronous = Client().get("/health/", {"format": name}), get("/health/", query_params={"format": name})
    assert asynchronous.status_code == sync.status_code
    for header in ("Content-Type", "Cache-Control", "Vary"):
        assert asynchronous.headers[header] == sync.headers[header]
    for label in ("Broken",) if name in ("rss", "atom") else ("Fine", "AsyncFine", "Broken"):
        assert label in asynchronous.content.decode()


@SETTINGS
def test_get__whatever_a_check_raises(settings: Settings, mount_checks: Mount, configuration: dict[str, int]) -> None:
    """What a check raises is an error of its own; entries that cannot be used are, too."""
    settings.HEALTH_CHECK = configuration
    mount_checks(Fine, Exiting, AsyncExiting, "no.such.Check")
    response = get("/health/?format=json")
    assert response.status_code == 500
    assert b'"Fine": "OK"' in response.content
    assert response.content.count(b"unknown error") == 2
    assert b"no.such.Check" in response.content


@pytest.mark.usefixtures("mount_checks")
def test_get__not_acceptable(mount_checks: Mount) -> None:
    """A client that accepts none of our formats is told so, and a header of nonsense gets the page."""
    mount_checks(Fine)
    assert get("/health/", headers={"Accept": "image/png"}).status_code == 406
    assert get("/health/?format=nonsense").status_code == 406
    assert get("/health/", headers={"Accept": "*/*;q=nonsense"}).status_code == 200


def test_settings__unusable(settings: Settings, mount_checks: Mount) -> None:
    """Settings that cannot be used are said in plain words."""
    mount_checks(Fine)
    settings.HEALTH_CHECK = {"MAX_AGE": -1}
    response = get("/health/")
    assert response.status_code == 500
    assert "MAX_AGE" in response.content.decode()
    assert "<title>" not in response.content.decode()


def test_get__fresh_record_is_kept(settings: Settings, mount_checks: Mount) -> None:
    """ASGI and WSGI show the same record."""
    runs: list[int] = []

    class Counting(HealthCheck):
        def check_status(self) -> None:
            runs.append(1)

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    mount_checks(Counting)
    for _ in range(2):
        assert get("/health/").status_code == Client().get("/health/").status_code == 200
    assert len(runs) == 1


class Own(HealthCheckView):
    """Overrides get, as for django-health-check 3.2x."""

    checks = (Fine, Broken)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return JsonResponse({label: plugin.status for label, plugin in self.plugins.items()}, status=218)


@SETTINGS
def test_subclass__own_get(settings: Settings, mount: Mount, configuration: dict[str, int]) -> None:
    """A subclass that overrides get works as it does under WSGI."""
    settings.HEALTH_CHECK = configuration
    mount(path("health/", Own.as_view(), name="health"))
    response = get("/health/")
    assert (response.status_code, response.content) == (218, b'{"Fine": 1, "Broken": 0}')
