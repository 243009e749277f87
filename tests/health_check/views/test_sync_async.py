"""The view under WSGI and ASGI: sync under the one, a native coroutine under the other, with the same answers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import AsyncClient
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.registry.endpoints import discover
from health_check.views import HealthCheckView
from health_check.views.sync_async import Callback, on_event_loop
from tests.conftest import Mount
from tests.support.checks import AsyncExiting, AsyncFine, Broken, Exiting, Fine
from tests.support.site.stacks import asgi, wsgi

SETTINGS = pytest.mark.parametrize(
    "configuration", [{}, {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}], ids=["here", "threads"]
)


class Custom(HealthCheckView):
    """A view whose author wrote a sync get."""

    checks = (Fine, Broken)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        statuses = ",".join(f"{label}={plugin.status}" for label, plugin in self.plugins.items())
        return HttpResponse(f"{statuses} on {threading.current_thread().name}", status=218)


def test_callback__is_a_coroutine_function_on_an_event_loop_only() -> None:
    """Django asks just before the call, in the thread that will call."""
    callback = HealthCheckView.as_view(checks=[])
    assert isinstance(callback, Callback)
    assert not iscoroutinefunction(callback)

    async def ask() -> bool:
        return iscoroutinefunction(callback)

    assert asyncio.run(ask())


def test_callback__keeps_what_django_and_others_look_for() -> None:
    """The attributes of the view are there: its class, its arguments, and its exemptions."""
    callback: Any = HealthCheckView.as_view(checks=[])
    assert callback.view_class is HealthCheckView
    assert callback.view_initkwargs == {"checks": []}
    assert callback.login_required is False
    assert "default" in callback._non_atomic_requests


@SETTINGS
@pytest.mark.parametrize(
    "query", ["", *(f"?format={name}" for name in ("json", "text", "health%2Bjson", "rss", "atom"))]
)
def test_answers__are_the_same_under_wsgi_and_asgi(
    settings: Settings, mount_checks: Mount, configuration: dict[str, int], query: str
) -> None:
    """Both ways lead to the same status, headers and body, also of what cannot be used, or ends the process."""
    settings.HEALTH_CHECK = configuration
    mount_checks(Fine, AsyncFine, Broken, Exiting, AsyncExiting, "no.such.Check")
    runtime.read()  # the page says what other endpoints answer, once that is known
    sync, native = wsgi(f"/health/{query}"), asgi(f"/health/{query}")
    assert native.status_code == sync.status_code == (200 if query in ("?format=rss", "?format=atom") else 500)
    sizes = [headers.pop("Content-Length", None) for headers in (native.headers, sync.headers)]
    assert native.headers == sync.headers
    if query == "?format=json":
        assert native.content == sync.content
        assert sizes[0] == sizes[1]
        assert native.content.count(b"unknown error") == 2
    for label in (b"Broken", b"AsyncExiting", b"no.such.Check"):
        assert label in native.content


@pytest.mark.parametrize("concurrency", [0, 4])
def test_asgi__first_request__finds_the_endpoint_and_runs_it(
    settings: Settings, mount_checks: Mount, concurrency: int
) -> None:
    """Nothing has to be there before the first request."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": concurrency}
    mount_checks(Fine)
    assert asgi("/health/?format=json").content == b'{"Fine": "OK"}'


@pytest.mark.parametrize(("name", "is_on_loop"), [("json", True), ("rss", True), ("svg", False), ("html", False)])
def test_asgi__waits_on_the_loop(
    settings: Settings, mount_checks: Mount, monkeypatch: pytest.MonkeyPatch, name: str, is_on_loop: bool
) -> None:
    """No thread waits for checks, or renders them, but for pages and badges: they ask the store for the past."""
    answered: list[bool] = []
    dispatch = HealthCheckView.dispatch

    def noting(self: HealthCheckView, *args: Any, **kwargs: Any) -> HttpResponseBase:
        answered.append(on_event_loop())
        return dispatch(self, *args, **kwargs)

    monkeypatch.setattr(HealthCheckView, "dispatch", noting)
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 0}
    mount_checks(Fine)
    runtime.read()
    assert asyncio.run(AsyncClient().get(f"/health/?format={name}")).status_code == 200
    assert answered == [is_on_loop]


@pytest.mark.parametrize(
    ("url", "accept", "configuration", "status", "words"),
    [
        ("/health/", "image/png", {}, 406, "Not acceptable"),
        ("/health/?format=nonsense", "", {}, 406, "Not acceptable"),
        ("/health/", "*/*;q=nonsense", {}, 200, "<title>"),
        ("/health/", "", {"MAX_AGE": -1}, 500, "MAX_AGE"),
        ("/health/", "", {"MAX_CONCURRENCY": 4, "STORE": {"BACKEND": "no.such.Store"}}, 500, "HEALTH_CHECK['STORE']"),
    ],
)
def test_asgi__other_answers(
    settings: Settings,
    mount_checks: Mount,
    url: str,
    accept: str,
    configuration: dict[str, Any],
    status: int,
    words: str,
) -> None:
    """What cannot be answered, or used, is said in plain words, under ASGI too."""
    mount_checks(Fine)
    settings.HEALTH_CHECK = configuration
    response = asgi(url, headers={"Accept": accept})
    assert (response.status_code, words in response.content.decode()) == (status, True)
    assert ("<title>" in response.content.decode()) == (status == 200)


def test_get__fresh_record_is_kept(settings: Settings, mount_checks: Mount) -> None:
    """ASGI and WSGI show the same record in all formats, and no check runs again while it is fresh."""
    runs: list[int] = []

    class Counting(HealthCheck):
        def check_status(self) -> None:
            runs.append(1)
            if len(runs) % 2:
                self.add_error("odd")

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    mount_checks(Counting)
    for name in ("html", "json", "text", "health%2Bjson"):
        assert asgi(f"/health/?format={name}").status_code == wsgi(f"/health/?format={name}").status_code == 500
    assert len(runs) == 1


@SETTINGS
def test_overridden_view__stays_a_sync_view(settings: Settings, mount: Mount, configuration: dict[str, int]) -> None:
    """A subclass with sync code of its own is called as Django calls any sync view, and is an endpoint all the same."""
    settings.HEALTH_CHECK = configuration
    mount(
        path("custom/", Custom.as_view(), name="custom"),
        path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"),
    )
    assert not isinstance(Custom.as_view(), Callback)
    response: Any = asyncio.run(AsyncClient().get("/custom/"))
    assert (response.status_code, response.content.split()[:2]) == (218, [b"Fine=1,Broken=0", b"on"])
    assert not response.content.endswith(b"on MainThread")
    assert [endpoint.name for endpoint in discover(settings.ROOT_URLCONF)] == ["custom", "health"]
