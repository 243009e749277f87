"""Answers from the bytes that were rendered before: which requests get them, and what ends them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.utils import translation
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency.clock import Clock
from health_check.monitor import runtime
from health_check.views import HealthCheckView, response_cache
from health_check.views.response_cache import Key, ResponseCache
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.site.stacks import STACKS, Ask

FORMATS = ["html", "json", "text"]
HEADERS = {"health+json": "application/health+json", "json": "application/json;q=0.5", "html": "text/html"}
JSON = "/health/?format=json"


@pytest.fixture(autouse=True)
def _long_fresh(settings: Settings) -> None:
    """Have no result expire meanwhile."""
    settings.HEALTH_CHECK = {"MAX_AGE": 600, "MAX_CONCURRENCY": 4}


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> list[HttpResponse]:
    """The answers that were given from cached bytes."""
    answers: list[HttpResponse] = []
    original = ResponseCache.answer

    def answer(self: ResponseCache, key: Key | None) -> HttpResponse | None:
        found = original(self, key)
        if found is not None:
            answers.append(found)
        return found

    monkeypatch.setattr(ResponseCache, "answer", answer)
    return answers


def get(url: str = JSON, **headers: str) -> HttpResponse:
    """Return an answer."""
    return Client().get(url, headers=headers)  # type: ignore[return-value]


class Counting(HealthCheck):
    """Says something else at each run."""

    runs = 0

    def check_status(self) -> None:
        type(self).runs += 1
        if self.runs % 2 == 0:
            self.add_error(f"run {self.runs}")


class Ordinary(HealthCheckView):
    """Overrides what the class does, and so is never answered from cached bytes."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs)


@STACKS
@pytest.mark.parametrize("checks", [[Fine, AsyncFine], [Fine, Broken], []], ids=["well", "broken", "none"])
@pytest.mark.parametrize("name", [*FORMATS, *(f"Accept: {accepted}" for accepted in HEADERS.values())])
def test_answer__is_that_of_the_view(
    ask: Ask, mount: Mount, kept: list[HttpResponse], checks: list[type[HealthCheck]], name: str
) -> None:
    """Bytes, status and headers are those of a view whose every answer is made anew."""
    mount(
        path("health/", HealthCheckView.as_view(checks=checks), name="health"),
        path("ordinary/", Ordinary.as_view(checks=checks), name="ordinary"),
    )
    runtime.read()
    is_header = name.startswith("Accept: ")
    options: dict[str, Any] = {"headers": {"Accept": name[8:]}} if is_header else {}
    query = "" if is_header else f"?format={name}"
    for method in ("GET", "HEAD"):
        ordinary = ask(f"/ordinary/{query}", method=method, **options)
        assert kept == []
        for _ in range(3):
            answer = ask(f"/health/{query}", method=method, **options)
            if "html" in answer.headers["Content-Type"]:  # which tells ages, and the name of the endpoint
                del answer.headers["Content-Length"]
                ordinary.headers.pop("Content-Length", None)
            else:
                assert answer.content == ordinary.content
            assert (answer.status_code, answer.headers) == (ordinary.status_code, ordinary.headers)
        assert kept
        kept.clear()


@pytest.mark.parametrize(
    ("options", "url", "method", "headers"),
    [
        ({}, "/health/?format=rss", "GET", {}),
        ({}, "/health/?format=json&check=Other", "GET", {}),
        ({}, "/health/", "OPTIONS", {}),
        ({}, "/health/", "POST", {}),
        ({}, "/health/", "GET", {"Accept": "application/rss+xml"}),
        ({}, "/health/", "GET", {"Accept": "image/png"}),
        ({}, "/health/?runbook=", "GET", {}),
        ({}, "/health/?state=nonsense", "GET", {}),
        ({"open": False}, JSON, "GET", {}),
        ({"details": "authorized"}, JSON, "GET", {}),
        ({"details": "never"}, JSON, "GET", {}),
        ({"tokens": ["t"], "details": "authorized"}, JSON, "GET", {"Authorization": "Bearer t"}),
        ({"checks": [Fine, (Shaky, {"max_age": 0})]}, JSON, "GET", {}),
        ({"template_name": "missing.html"}, "/health/?format=html", "GET", {}),
    ],
)
def test_answer__never_kept(
    mount: Mount,
    kept: list[HttpResponse],
    options: dict[str, Any],
    url: str,
    method: str,
    headers: dict[str, str],
) -> None:
    """What is not asked for again and again, is not for all, or is never fresh, is left to the view."""
    mount(path("health/", HealthCheckView.as_view(**{"checks": [Fine], **options}), name="health"))
    runtime.read()
    for _ in range(3):
        Client().generic(method, url, headers=headers)
    assert b"use one of" not in get("/health/").content
    Client().generic(method, url, headers=headers)
    assert kept == []


@pytest.mark.parametrize("name", FORMATS)
def test_kept__until_there_is_another_record(mount_checks: Mount, kept: list[HttpResponse], name: str) -> None:
    """What any reader had run is shown at once."""
    Counting.runs = 0
    mount_checks(Counting, Fine)
    url = f"/health/?format={name}"
    before = get(url)
    get(url)
    assert len(kept) == 1
    runtime.read(force=True)
    after = get(url)
    assert (before.status_code, after.status_code) == (200, 500)
    assert (b"run 2" in before.content, b"run 2" in after.content) == (False, True)


def test_kept__only_what_is_known_now(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that was overtaken by another result while it was made is not kept."""
    Counting.runs = 0
    mount_checks(Counting)
    original = HealthCheckView._rendered

    def rendered(self: HealthCheckView, *args: Any) -> HttpResponse:
        found = original(self, *args)
        runtime.read(force=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(HealthCheckView, "_rendered", rendered)
        assert get().status_code == 200
    assert get().status_code == 500


def let_pass(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the monotonic clock forward, for whoever reads it."""
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + seconds)
    monkeypatch.setattr(Clock, "monotonic", staticmethod(time.monotonic))


def test_kept__until_a_record_expires(
    mount_checks: Mount, kept: list[HttpResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the view has checks run."""
    Counting.runs = 0
    mount_checks((Fine, {"max_age": 600}), (Counting, {"max_age": 60}))
    get()
    let_pass(30, monkeypatch)
    assert (get().status_code, len(kept)) == (200, 1)
    let_pass(31, monkeypatch)
    get()
    assert len(kept) == 1


def test_kept__page_for_a_second(
    mount_checks: Mount, kept: list[HttpResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page tells how long ago checks ran, and has to be about right."""
    mount_checks(Fine)
    get("/health/")
    let_pass(1.1, monkeypatch)
    get("/health/")
    assert kept == []


def test_kept__until_settings_change(mount_checks: Mount, settings: Settings) -> None:
    """Also where they are changed in place, as tests do, and whatever they are."""
    mount_checks(Fine, Shaky)
    assert [get().status_code for _ in range(2)] == [500, 500]
    settings.HEALTH_CHECK["WARNINGS_AS_ERRORS"] = False
    settings.HEALTH_CHECK["OWN"] = Incomparable()
    assert [get().status_code for _ in range(2)] == [200, 200]
    settings.HEALTH_CHECK["OWN"] = Incomparable()
    settings.HEALTH_CHECK["ACCESS"] = {"OPEN": False}
    assert get().status_code == 403


class Incomparable:
    """What cannot be compared, as an array."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("which of them?")


def test_kept__until_the_host_is_drained(mount_checks: Mount, kept: list[HttpResponse]) -> None:
    """A load balancer must not be told otherwise."""
    mount_checks(Fine, readiness=True)
    runtime.drain(undo=True)
    assert [get().status_code for _ in range(2)] == [200, 200]
    assert len(kept) == 1
    assert runtime.drain()
    assert [get().status_code for _ in range(2)] == [503, 503]
    assert runtime.drain(undo=True)
    assert get().status_code == 200


def test_kept__until_there_are_other_checks(mount: Mount) -> None:
    """An endpoint of other checks has another answer."""
    view = HealthCheckView.as_view(checks=[Fine])
    mount(path("health/", view, name="health"))
    assert [get().status_code for _ in range(2)] == [200, 200]
    mount(path("health/", view, name="health"), path("other/", HealthCheckView.as_view(checks=[Broken]), name="other"))
    assert get("/health/?format=json&check=Fine").status_code == 200
    assert b"/other/" in get("/health/").content


def test_page__in_a_language_of_its_own(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is English, whatever the language of the request: whoever comes next may have another."""
    mount_checks(Fine)
    runtime.read()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 4000)
    with translation.override("de"):
        assert "1 h 6 min ago" in get("/health/").content.decode()


def test_kept__answers_about_single_checks(
    mount_checks: Mount, kept: list[HttpResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers about checks, and pages with filters, are kept as well, 32 at most."""
    monkeypatch.setattr(response_cache, "HTML_SECONDS", 600.0)
    mount_checks(Fine, (Broken, {"critical_service": False}))
    for query, status in (
        ("check=Broken&format=json", 500),
        ("check=Broken&format=health%2Bjson", 500),
        ("check=Fine&check=Broken&format=text", 200),
    ):
        first = get(f"/health/?{query}")
        again = get(f"/health/?unknown=1&{query}")
        assert kept.pop() is again
        assert (again.content, again.status_code) == (first.content, status)
    for number in [*range(40), *range(8, 40), *range(8)]:
        get(f"/health/?q={number}")
    assert len(kept) == 32
