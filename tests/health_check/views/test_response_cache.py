"""Answers from the bytes that were rendered before: which requests get them, and what ends them."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path, resolve
from django.utils import translation
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency.clock import Clock
from health_check.monitor import runtime
from health_check.views import HealthCheckView, response_cache
from health_check.views.response_cache import ResponseCache
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.site.stacks import STACKS, Ask

FORMATS = ["html", "json", "text"]
HEADERS = {"health+json": "application/health+json", "json": "application/json;q=0.5", "html": "text/html"}


@pytest.fixture(autouse=True)
def _long_fresh(settings: Settings) -> None:
    """Have no result expire meanwhile."""
    settings.HEALTH_CHECK = {"MAX_AGE": 600, "MAX_CONCURRENCY": 4}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[HttpResponse]:
    """The answers that were given from cached bytes, or cached in the course of it."""
    answers: list[HttpResponse] = []
    original = response_cache.ResponseCache.answer

    def answer(self: ResponseCache, request: HttpRequest, **options: Any) -> HttpResponse | None:
        found = original(self, request, **options)
        if found is not None:
            answers.append(found)
        return found

    monkeypatch.setattr(ResponseCache, "answer", answer)
    return answers


def request_for(url: str, method: str = "GET", **headers: str) -> HttpRequest:
    """Return a request as the view gets it."""
    request = RequestFactory().generic(method, url, headers=headers)
    request.resolver_match = resolve(request.path)
    return request


@dataclasses.dataclass
class Counting(HealthCheck):
    """Says something else at each run."""

    def check_status(self) -> None:
        runs.append(1)
        if len(runs) % 2 == 0:
            self.add_error(f"run {len(runs)}")


runs: list[int] = []


class Ordinary(HealthCheckView):
    """Overrides what the class does, and so is never answered from cached bytes."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs)


@STACKS
@pytest.mark.parametrize("checks", [[Fine, AsyncFine], [Fine, Broken], []], ids=["well", "broken", "none"])
@pytest.mark.parametrize("name", [*FORMATS, *(f"Accept: {accepted}" for accepted in HEADERS.values())])
def test_answer__is_that_of_the_view(
    ask: Ask, mount: Mount, taken: list[HttpResponse], checks: list[type[HealthCheck]], name: str
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
        assert taken == []
        for _ in range(3):
            answer = ask(f"/health/{query}", method=method, **options)
            if "html" in answer.headers["Content-Type"]:  # which tells ages, and the name of the endpoint
                del answer.headers["Content-Length"]
                ordinary.headers.pop("Content-Length", None)
            else:
                assert answer.content == ordinary.content
            assert (answer.status_code, answer.headers) == (ordinary.status_code, ordinary.headers)
        assert taken
        taken.clear()


@pytest.mark.parametrize(
    ("url", "method", "headers"),
    [
        ("/health/?format=rss", "GET", {}),
        ("/health/?format=json&check=Other", "GET", {}),
        ("/health/", "OPTIONS", {}),
        ("/health/", "POST", {}),
        ("/health/", "GET", {"Accept": "application/rss+xml"}),
        ("/health/", "GET", {"Accept": "image/png"}),
    ],
)
def test_answer__to_other_requests(mount_checks: Mount, url: str, method: str, headers: dict[str, str]) -> None:
    """What is not asked for again and again is left to the view."""
    mount_checks(Fine)
    runtime.read()
    assert ResponseCache().answer(request_for(url, method, **headers)) is None


@pytest.mark.parametrize(
    "options",
    [{"open": False}, {"details": "authorized"}, {"details": "never"}, {"tokens": ["t"], "details": "authorized"}],
)
def test_answer__to_some_only(mount_checks: Mount, options: dict[str, Any]) -> None:
    """Where it matters who asks, or messages are left out, the view decides."""
    mount_checks(Fine, **options)
    runtime.read()
    assert ResponseCache().answer(request_for("/health/?format=json")) is None


def test_answer__before_anything_is_known(mount_checks: Mount) -> None:
    """Nothing is run, and nothing is waited for."""
    mount_checks(Counting)
    runs.clear()
    assert ResponseCache().answer(request_for("/health/?format=json")) is None
    assert runs == []


def test_answer__while_one_is_never_fresh(mount_checks: Mount) -> None:
    """All have to be fresh."""
    mount_checks((Fine, {"max_age": 600}), (Shaky, {"max_age": 0}))
    runtime.read()
    assert ResponseCache().answer(request_for("/health/?format=json")) is None


def cached(name: str = "json") -> tuple[ResponseCache, HttpResponse]:
    """Return a response cache that has an answer."""
    runtime.read()
    made = ResponseCache()
    answer = made.answer(request_for(f"/health/?format={name}"))
    assert answer is not None
    assert made.answer(request_for(f"/health/?format={name}"), may_wait=False) is not None
    return made, answer


@pytest.mark.parametrize("name", FORMATS)
def test_kept__until_there_is_another_record(mount_checks: Mount, name: str) -> None:
    """What any reader had run is shown at once."""
    runs.clear()
    mount_checks(Counting, Fine)
    made, before = cached(name)
    runtime.read(force=True)
    after = made.answer(request_for(f"/health/?format={name}"))
    assert after is not None
    assert (before.status_code, after.status_code) == (200, 500)
    assert (b"run 2" in before.content, b"run 2" in after.content) == (False, True)


def let_pass(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the monotonic clock forward, for whoever reads it."""
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + seconds)
    monkeypatch.setattr(Clock, "monotonic", staticmethod(time.monotonic))


def test_kept__until_a_record_expires(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the view has checks run."""
    mount_checks((Fine, {"max_age": 600}), (Counting, {"max_age": 60}))
    made, _ = cached()
    let_pass(59, monkeypatch)
    assert made.answer(request_for("/health/?format=json")) is not None
    let_pass(2, monkeypatch)
    assert made.answer(request_for("/health/?format=json")) is None


def test_kept__page_for_a_second(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page tells how long ago checks ran, and has to be about right."""
    mount_checks(Fine)
    made, _ = cached("html")
    let_pass(1.1, monkeypatch)
    assert made.answer(request_for("/health/?format=html"), may_wait=False) is None
    assert made.answer(request_for("/health/?format=html")) is not None


def test_kept__until_settings_change(mount_checks: Mount, settings: Settings) -> None:
    """What warnings are is for the settings to say."""
    mount_checks(Fine, Shaky)
    made, before = cached()
    assert before.status_code == 500
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "WARNINGS_AS_ERRORS": False}
    after = made.answer(request_for("/health/?format=json"))
    assert after is None or after.status_code == 200
    assert Client().get("/health/?format=json").status_code == 200


def test_kept__until_the_host_is_drained(mount_checks: Mount) -> None:
    """A load balancer must not be told otherwise."""
    mount_checks(Fine, readiness=True)
    runtime.drain(undo=True)
    assert Client().get("/health/?format=json").status_code == 200
    assert Client().get("/health/?format=json").status_code == 200
    assert runtime.drain()
    assert Client().get("/health/?format=json").status_code == 503
    assert runtime.drain(undo=True)
    assert Client().get("/health/?format=json").status_code == 200


def test_kept__until_there_are_other_checks(mount_checks: Mount) -> None:
    """An endpoint of other checks has another answer."""
    mount_checks(Fine)
    made, _ = cached()
    mount_checks(Fine, Broken)
    answer = made.answer(request_for("/health/?format=json"))
    assert answer is None
    assert Client().get("/health/?format=json").status_code == 500


def test_page__in_a_language_of_its_own(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is English, whatever the language of the request: whoever comes next may have another."""
    mount_checks(Fine)
    runtime.read()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 4000)
    with translation.override("de"):
        answer = ResponseCache().answer(request_for("/health/?format=html"))
    assert answer is not None
    assert "1 h 6 min ago" in answer.content.decode()


def test_kept__answers_about_single_checks(mount_checks: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers about checks, and pages with filters, are kept as well, 32 at most."""
    monkeypatch.setattr(response_cache, "HTML_SECONDS", 600.0)
    mount_checks(Fine, (Broken, {"critical_service": False}))
    made, _ = cached()
    for query in (
        "check=Broken&format=json",
        "check=Broken&format=health%2Bjson",
        "check=Fine&check=Broken&format=text",
    ):
        first = made.answer(request_for(f"/health/?{query}"))
        assert first is not None
        again = made.answer(request_for(f"/health/?unknown=1&{query}"))
        assert again is not None
        assert (again.content, again.status_code) == (first.content, first.status_code)
    assert made.answer(request_for("/health/?check=Broken&format=json")).status_code == 500  # type: ignore[union-attr]
    for number in range(40):
        assert made.answer(request_for(f"/health/?q={number}&format=html")) is not None
    kept = [made.answer(request_for(f"/health/?q={number}&format=html"), may_wait=False) for number in range(40)]
    assert [answer is not None for answer in kept] == [False] * 8 + [True] * 32


@pytest.mark.parametrize(
    "query", ["check=Nothing", "check=Fine&check=Nothing", "state=nonsense", "refresh=1", "sort=x", "runbook="]
)
def test_kept__never_what_cannot_be_used(mount_checks: Mount, client: Client, query: str) -> None:
    """An unknown check, and a query string that the page complains about, leave nothing for who comes next."""
    mount_checks(Fine)
    made, _ = cached("html")
    assert made.answer(request_for(f"/health/?{query}")) is None
    for _ in range(2):
        told = client.get(f"/health/?{query}").content
        assert told != client.get("/health/").content
        assert b"use one of" not in client.get("/health/").content
