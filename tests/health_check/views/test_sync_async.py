"""The callback of a health view: sync under WSGI, a native coroutine under ASGI."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.registry.endpoints import discover
from health_check.views import HealthCheckView
from health_check.views.sync_async import Callback


class Ready(HealthCheck):
    """A check that is content."""

    def check_status(self) -> None:
        """Be content."""


class Custom(HealthCheckView):
    """A view whose author wrote a sync get."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(threading.current_thread().name)


urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=[Ready]), name="health"),
    path("custom/", Custom.as_view(checks=[Ready]), name="custom"),
]


@pytest.fixture(autouse=True)
def _mounted(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 4}


def test_callback__is_a_coroutine_function_on_an_event_loop_only() -> None:
    """Django asks just before the call, in the thread that will call."""
    callback = HealthCheckView.as_view(checks=[])
    assert isinstance(callback, Callback)
    assert not iscoroutinefunction(callback)

    async def ask() -> bool:
        return iscoroutinefunction(callback)

    assert asyncio.run(ask())


def test_callback__beside_a_loop__is_none() -> None:
    """Where another greenlet of the thread runs a loop, no task of that loop is the one that asks."""
    callback, loop, seen = HealthCheckView.as_view(checks=[]), asyncio.new_event_loop(), list[bool]()
    loop.call_soon(lambda: seen.append(iscoroutinefunction(callback)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert seen == [False]


def test_callback__keeps_what_django_and_others_look_for() -> None:
    """The attributes of the view are there: its class, its arguments, and its exemptions."""
    callback: Any = HealthCheckView.as_view(checks=[])
    assert callback.view_class is HealthCheckView
    assert callback.view_initkwargs == {"checks": []}
    assert callback.login_required is False
    assert "default" in callback._non_atomic_requests


@pytest.mark.parametrize("query", ["", "?format=json", "?format=text", "?format=health%2Bjson"])
def test_answers__are_the_same_under_wsgi_and_asgi(query: str) -> None:
    """Both ways lead to the same status, headers and body."""
    runtime.read()  # the page says what other endpoints answer, once that is known
    sync = Client().get(f"/health/{query}")

    async def ask() -> Any:
        return await AsyncClient().get(f"/health/{query}")

    native = asyncio.run(ask())
    assert native.status_code == sync.status_code == 200
    assert dict(native.headers) == dict(sync.headers)
    if query:
        assert native.content == sync.content
    else:
        assert b"Ready" in native.content


@pytest.mark.parametrize("concurrency", [0, 4])
def test_asgi__first_request__finds_the_endpoint_and_runs_it(settings: Settings, concurrency: int) -> None:
    """Nothing has to be there before the first request."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": concurrency}

    async def ask() -> Any:
        return await AsyncClient().get("/health/?format=json")

    assert asyncio.run(ask()).json() == {"Ready": "OK"}


def test_asgi__bad_setting__is_an_answer(settings: Settings) -> None:
    """A setting that cannot be used is told of in words, under ASGI too."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 4, "STORE": {"BACKEND": "no.such.Store"}}

    async def ask() -> Any:
        return await AsyncClient().get("/health/")

    response = asyncio.run(ask())
    assert response.status_code == 500
    assert b"HEALTH_CHECK['STORE']" in response.content


def test_overridden_view__stays_a_sync_view() -> None:
    """A subclass with sync code of its own is called as Django calls any sync view."""
    callback = Custom.as_view(checks=[Ready])
    assert not isinstance(callback, Callback)

    async def ask() -> Any:
        return await AsyncClient().get("/custom/")

    assert asyncio.run(ask()).content != b"MainThread"


def test_discovery__finds_callbacks() -> None:
    """Both kinds are endpoints."""
    assert [endpoint.name for endpoint in discover(__name__)] == ["health", "custom"]
