"""The health view: what it answers, and what it does not touch."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.views.decorators.cache import cache_page, never_cache
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import AsyncBroken, AsyncFine, Blown, Broken, Fine, Shaky, TwiceBroken
from tests.support.site.stacks import STACKS, Ask

FORMATS = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "health+json": "application/health+json",
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("by_header", [True, False], ids=["Accept", "query"])
@pytest.mark.parametrize(
    ("check", "status"), [((Shaky, {"critical_service": False}), 200), (Broken, 500)], ids=["fine", "failing"]
)
def test_get__format(
    mount_checks: Mount, client: Client, name: str, by_header: bool, check: object, status: int
) -> None:
    """Each format is answered with its media type, asked for in the URL or by header, and never stored.

    A failing endpoint answers 500 in every format but the feeds, which stay readable.
    """
    mount_checks(Fine, check)
    media_type = FORMATS[name].partition(";")[0]
    response = (
        client.get("/health/", headers={"Accept": media_type})
        if by_header
        else client.get("/health/", {"format": name}, headers={"Accept": "image/png"})
    )
    assert response.status_code == (200 if name in ("rss", "atom") else status)
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    assert "no-store" in response.headers["Cache-Control"]
    assert "Accept" in response.headers["Vary"]
    message = "warning: Not for long!" if status == 200 else "unavailable: Something went wrong!"
    assert message in response.content.decode()


def test_get__json(mount_checks: Mount, client: Client) -> None:
    """The JSON has an entry for each check, in order: "OK" or its errors, if meant for readers."""
    mount_checks(Fine, AsyncFine, Shaky, TwiceBroken, AsyncBroken, Blown)
    found = client.get("/health/?format=json").json()
    assert list(found.items()) == [
        ("Fine", "OK"),
        ("AsyncFine", "OK"),
        ("Shaky", "warning: Not for long!"),
        ("TwiceBroken", "unavailable: Something went wrong!\nunexpected result: Something else, too."),
        ("AsyncBroken", "unavailable: Something went wrong!"),
        ("Blown", "unknown error"),
    ]


def test_get__text_with_control_characters(mount_checks: Mount, client: Client) -> None:
    """The text has no control characters, and no line that a message forged; JSON has the message as it is."""

    class Talking(HealthCheck):
        def check_status(self) -> None:
            raise ServiceUnavailable("\x9b1m\u202egood\r\nFine: OK")

    mount_checks(Talking)
    assert client.get("/health/?format=text").content.decode() == (
        "Talking: unavailable: \\x9b1m\\u202egood; Fine: OK\n"
    )
    found = client.get("/health/?format=json").json()
    assert found == {"Talking": "unavailable: \x9b1m\u202egood\r\nFine: OK"}


@pytest.mark.parametrize("check", [Fine, Broken])
@pytest.mark.parametrize(
    ("query", "accept"),
    [("", "image/png"), ("", "*/*;q=0"), ("?format=openmetrics", "text/html"), ("?format=jsn", "text/html")],
)
def test_get__not_acceptable(mount_checks: Mount, client: Client, check: type, query: str, accept: str) -> None:
    """A client that accepts none of our formats, or misspells one, is told so in words that name them, and /metrics."""
    mount_checks(check)
    response = client.get(f"/health/{query}", headers={"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (406, "text/plain; charset=utf-8")
    assert "no-store" in response.headers["Cache-Control"]
    for media_type in FORMATS.values():
        assert media_type.partition(";")[0] in response.text
    assert "?format= with one of: atom, health+json, html, json, rss, svg, text." in response.text
    assert "scrape /metrics" in response.text


PREFLIGHT = {"Origin": "https://else.example", "Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize(
    ("method", "check", "query", "headers", "status"),
    [
        ("HEAD", Fine, "?format=json", {}, 200),
        ("HEAD", Broken, "?format=json", {}, 500),
        ("OPTIONS", Fine, "", {}, 200),
        ("OPTIONS", Broken, "", {}, 500),
        ("OPTIONS", Broken, "?format=atom", {}, 200),
        ("OPTIONS", Broken, "", {"Accept": "image/png"}, 406),
        ("OPTIONS", Broken, "", {"Origin": "https://else.example"}, 500),
        ("OPTIONS", Broken, "", PREFLIGHT, 200),
        ("OPTIONS", Broken, "?check=nope", {}, 404),
        *((method, Fine, "", {}, 405) for method in ("POST", "PUT", "PATCH", "DELETE")),
    ],
)
def test_method__status_of_get(
    mount_checks: Mount, client: Client, method: str, check: type, query: str, headers: dict[str, str], status: int
) -> None:
    """HEAD, and OPTIONS, HAProxy's default probe, have the status of GET; a CORS preflight only learns the methods.

    No other method is allowed.
    """
    mount_checks(check)
    response = client.generic(method, f"/health/{query}", headers=headers)
    assert (response.status_code, response.content) == (status, b"")
    assert "no-store" in response.headers["Cache-Control"]
    if method == "HEAD":
        assert response.headers["Content-Type"] == "application/json"
    else:
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def own(self: HealthCheckView, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer otherwise."""
    return HttpResponse("own", status=418)


async def async_own(self: HealthCheckView, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer otherwise by a coroutine, as views for django-health-check 4.x do."""
    return HttpResponse("own", status=418)


@STACKS
@pytest.mark.parametrize(
    ("methods", "answers"),
    [
        ({"options": own}, {"GET": (500, None), "OPTIONS": (418, b"own")}),
        ({"options": async_own}, {"GET": (500, None), "OPTIONS": (418, b"own")}),
        ({"get": async_own}, {"GET": (418, b"own"), "OPTIONS": (418, b"")}),
    ],
)
def test_methods_of_a_subclass__its_own_answer(
    ask: Ask, mount: Mount, methods: dict[str, Any], answers: dict[str, tuple[int, bytes | None]]
) -> None:
    """What a subclass answers, also by a coroutine, is its answer, under WSGI and ASGI."""
    view_class: type[HealthCheckView] = type("Own", (HealthCheckView,), methods)
    mount(path("health/", view_class.as_view(checks=[Broken])))
    for method, (status, content) in answers.items():
        response = ask("/health/", method=method)
        assert response.status_code == status
        assert content is None or response.content == content
        assert "no-store" in response.headers["Cache-Control"]


class Optional(Broken):
    """Is not critical by its class."""

    critical_service = False


@pytest.mark.parametrize(
    ("checks", "options", "status"),
    [
        ([], {}, 200),
        ([Fine], {}, 200),
        ([Shaky], {}, 500),
        ([Shaky], {"warnings_as_errors": False}, 200),
        ([Shaky], {"warnings_as_errors": True}, 500),
        ([Shaky, Broken], {"warnings_as_errors": False}, 500),
        ([Broken], {"error_status_code": 503}, 503),
        ([Fine], {"error_status_code": 503}, 200),
        ([Shaky], {"error_status_code": 503}, 503),
        ([(Broken, {"critical_service": False})], {}, 200),
        ([(Shaky, {"critical_service": False})], {}, 200),
        ([(Broken, {"critical_service": False}), Blown], {}, 500),
        ([Optional], {}, 200),
        ([(Optional, {"critical_service": True})], {}, 500),
    ],
)
def test_status_code__options(
    mount_checks: Mount, client: Client, checks: list[object], options: dict[str, object], status: int
) -> None:
    """What counts makes the endpoint answer its error status, in every format alike."""
    mount_checks(*checks, **options)
    for name in ("html", "json", "text", "health+json"):
        assert client.get("/health/", {"format": name}).status_code == status


@pytest.mark.parametrize(("setting", "option", "status"), [(False, None, 200), (False, True, 500), (True, False, 200)])
def test_status_code__warnings_by_setting(
    settings: Settings, mount_checks: Mount, client: Client, setting: bool, option: bool | None, status: int
) -> None:
    """The setting says whether warnings count, and the endpoint has the last word."""
    settings.HEALTH_CHECK = {"WARNINGS_AS_ERRORS": setting}
    mount_checks(Shaky, warnings_as_errors=option)
    assert client.get("/health/").status_code == status


def test_status_code__unknown_counts(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """A check of which nothing is known in time is unknown, says why, and fails the endpoint."""
    release, started = threading.Event(), threading.Event()

    class Hanging(HealthCheck):
        timeout = 0.01

        def check_status(self) -> None:
            started.set()
            release.wait()

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 1, "MAX_AGE": 60}
    names = ("first", "second", "third")
    mount_checks(*((type("Hanging", (Hanging,), {}), {"name": name}) for name in names))
    try:
        response = client.get("/health/?format=json")
    finally:
        release.set()
    assert started.is_set()
    assert response.status_code == 500
    assert response.json() == {
        "first": "unavailable: timed out after 0.01 s",
        "second": "unavailable: still running, started 0 s ago",
        "third": "unavailable: waiting for a free thread: 3 checks of up to 0.01 s need 1 s, MAX_CONCURRENCY is 1",
    }


@pytest.mark.django_db
def test_include__mounts_health_and_live(mount: Mount, settings: Settings, client: Client) -> None:
    """Including our URLs mounts the endpoint of the six default checks, in order, and the one that checks nothing."""
    settings.HEALTH_CHECK = {"WARNINGS_AS_ERRORS": False}
    mount(path("health/", include("health_check.urls")), path("default/", HealthCheckView.as_view(), name="default"))
    live = client.get("/health/live/?format=json")
    assert (live.status_code, live.json()) == (200, {})
    for url in ("/health/", "/default/"):
        response = client.get(f"{url}?format=json")
        assert response.status_code == 200
        assert list(response.json()) == ["Cache", "Database", "Disk", "Mail", "Memory", "Storage"]


def test_route__parameters_and_namespaces(mount: Mount, client: Client) -> None:
    """An endpoint may be mounted with parameters, under namespaces, without a name and behind decorators."""
    shop = [path("<slug:shop>/", never_cache(HealthCheckView.as_view(checks=[Broken])), name="health")]
    mount(
        path("shops/", include((shop, "shops"))),
        path("cached/", cache_page(60)(HealthCheckView.as_view(checks=[Fine]))),
    )
    assert client.get("/shops/berlin/?format=json").json() == {"Broken": "unavailable: Something went wrong!"}
    assert client.get("/cached/?format=json").json() == {"Fine": "OK"}
    names = {endpoint.name for endpoint in runtime.get().catalogue.check_set.members}
    assert names == {"shops:health", "unnamed-1"}


def test_route__missed_by_the_walk(mount: Mount, client: Client) -> None:
    """A served view that the URLconf did not show answers all the same, and adds itself."""
    view = HealthCheckView.as_view(checks=[Fine])

    def hiding(request: HttpRequest) -> HttpResponse:
        return view(request)

    mount(path("health/", hiding, name="hidden"))
    assert client.get("/health/?format=json").json() == {"Fine": "OK"}
    assert "Fine" in runtime.get().catalogue.check_set.definitions


def test_get__no_thread_can_be_started(
    mount_checks: Mount,
    client: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the memory limit leaves no thread, as in a small container, the log says so once, not at each probe."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    mount_checks(Fine)
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 0}
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert [client.get("/health/?format=json").status_code for _ in range(6)] == [500] * 6
    texts = [record.getMessage() for record in caplog.records]
    assert texts
    assert len(texts) == len(set(texts))
    assert len(texts) <= 3
