"""Draining, as the endpoints of a site show it."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.stores.sqlite import SQLiteStore
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine, Shaky
from tests.support.site.stacks import STACKS, Ask

NOTICE = "unavailable: this host is drained"

SECONDS = 20.0
"""How long answers may take where nobody is to wait."""


class Asking(HealthCheckView):
    """Chooses its checks by the request."""

    readiness = True

    def get_plugins(self) -> Iterable[Any]:
        yield self.request.path, Fine()


def by_hand(request: HttpRequest) -> HttpResponse:
    """Answer as a health view does that no URLconf shows."""
    return HealthCheckView.as_view(checks=[Fine], readiness=True)(request)


STATUSES = {
    "ready": (200, 503),
    "up": (200, 503),
    "sick": (500, 503),
    "sick-418": (418, 503),
    "asking": (200, 503),
    "by-hand": (200, 503),
    "health": (200, 200),
    "live": (200, 200),
    "failing": (500, 500),
}
"""What the endpoints of the site below answer, and what they answer while their host is drained."""


@pytest.fixture
def _site(mount: Mount) -> None:
    view = HealthCheckView.as_view
    mount(
        path("ready/", view(checks=[Fine], readiness=True), name="ready"),
        path("up/", view(checks=[], readiness=True), name="up"),
        path("sick/", view(checks=[Fine, Broken], readiness=True), name="sick"),
        path("sick-418/", view(checks=[Broken], readiness=True, error_status_code=418), name="sick-418"),
        path("asking/", Asking.as_view(), name="asking"),
        path("by-hand/", by_hand),
        path("health/", view(checks=[Fine]), name="health"),
        path("live/", view(checks=[], liveness=True), name="live"),
        path("failing/", view(checks=[Broken]), name="failing"),
    )


site = pytest.mark.usefixtures("_site")


@site
@STACKS
@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("health_check", [{}, {"MAX_CONCURRENCY": 4, "MAX_AGE": 10}], ids=["tested", "on threads"])
def test_get__while_drained(name: str, ask: Ask, health_check: dict[str, object], settings: Settings) -> None:
    """Readiness endpoints answer 503, however their checks are; all others answer as ever, and so do all afterwards."""
    settings.HEALTH_CHECK = health_check
    usual, drained = STATUSES[name]
    assert ask(f"/{name}/?format=json").status_code == usual
    assert runtime.drain()
    response = ask(f"/{name}/?format=json")
    assert response.status_code == drained
    assert (NOTICE in response.content.decode()) is (drained == 503)
    assert runtime.drain(undo=True)
    response = ask(f"/{name}/?format=json")
    assert response.status_code == usual
    assert NOTICE not in response.content.decode()


@site
@STACKS
@pytest.mark.parametrize("kind", ["html", "json", "text", "health+json", "rss", "atom"])
def test_get__format(kind: str, ask: Ask) -> None:
    """Every format says so, and what the checks say; feeds are readable as ever."""
    runtime.drain()
    response = ask(f"/sick/?format={kind}")
    assert response.status_code == (200 if kind in ("rss", "atom") else 503)
    assert "this host is drained" in response.content.decode().lower()
    assert "unavailable: Something went wrong!" in response.content.decode()
    assert response.headers["Cache-Control"] == "no-store"


@site
@STACKS
@pytest.mark.parametrize(
    ("method", "path_", "status"),
    [("HEAD", "/ready/", 503), ("OPTIONS", "/ready/", 503), ("POST", "/ready/", 405), ("GET", "/ready/?format=x", 406)],
)
def test_request__of_another_kind(method: str, path_: str, status: int, ask: Ask) -> None:
    """HEAD and OPTIONS have the status of GET; what asks for no report has the answer it always has."""
    runtime.drain()
    response = ask(path_, method=method)
    assert response.status_code == status
    assert method != "HEAD" or response.content == b""


@STACKS
def test_get__not_acceptable_or_not_allowed(mount: Mount, ask: Ask) -> None:
    """Who may not ask, or takes no format there is, hears nothing of it."""
    closed = HealthCheckView.as_view(checks=[Fine], readiness=True, open=False, tokens=["a"])
    mount(path("ready/", HealthCheckView.as_view(checks=[Fine], readiness=True)), path("closed/", closed))
    runtime.drain()
    assert ask("/ready/", headers={"Accept": "image/png"}).status_code == 406
    assert ask("/closed/").status_code == 401
    assert ask("/closed/", headers={"Authorization": "Bearer a"}).status_code == 503


@STACKS
@pytest.mark.parametrize("details", ["never", "authorized"])
def test_get__without_details(details: str, mount: Mount, ask: Ask) -> None:
    """That the host is drained is a state, and no secret."""
    mount(path("ready/", HealthCheckView.as_view(checks=[Broken], readiness=True, details=details), name="ready"))
    runtime.drain()
    response = ask("/ready/?format=json")
    assert response.status_code == 503
    assert b"this host is drained" in response.content
    assert b"Something went wrong" not in response.content


@site
@STACKS
def test_get__through_the_middleware(ask: Ask, settings: Settings) -> None:
    """The middleware that answers probes first answers them so, too."""
    settings.MIDDLEWARE = ["health_check.middleware.HealthCheckMiddleware", "tests.support.site.middleware.maintenance"]
    runtime.drain()
    response = ask("/ready/?format=json")
    assert (response.status_code, NOTICE in response.content.decode()) == (503, True)
    assert ask("/live/").status_code == 200


@site
def test_drain__is_no_error_of_the_site(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is mailed, and nothing is logged, for each probe."""
    runtime.drain()
    for _ in range(20):
        assert client.get("/ready/").status_code == 503
    assert caplog.messages == ["This host is drained: its readiness endpoints answer 503."]


@site
def test_read__every_endpoint() -> None:
    """An overview of all endpoints says it of those for readiness, and of no check."""
    runtime.drain()
    overview = runtime.read()
    found = {report.name: (report.healthy, report.status_code, report.draining) for report in overview.reports}
    assert found == {
        name: (drained == 200, drained, drained == 503)
        for name, (_, drained) in STATUSES.items()
        if name not in ("asking", "by-hand")
    }
    assert [reading.label for reading in overview.readings] == ["Fine", "Broken"]
    assert runtime.store_summary(overview.readings).draining


@site
def test_read__warnings_do_not_matter(mount: Mount) -> None:
    """Whatever counts against an endpoint, its status is that of draining."""
    for strict in (True, False):
        mount(path("r/", HealthCheckView.as_view(checks=[Shaky], warnings_as_errors=strict, readiness=True), name="r"))
        runtime.drain()
        (report,) = runtime.read().reports
        assert (report.healthy, report.status_code, report.rows[0].counts) == (False, 503, strict)


@pytest.fixture
def _shared_store(settings: Settings, tmp_path: pathlib.Path) -> None:
    """Records in a file, as outside a test suite."""
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": tmp_path / "store"}}
    settings.HEALTH_CHECK = {"STORE": store, "MAX_AGE": 60, "MAX_CONCURRENCY": 4}


@site
@STACKS
@pytest.mark.usefixtures("_shared_store")
@pytest.mark.parametrize("name", ["ready", "up"])
@pytest.mark.parametrize("prepared", [False, True])
def test_get__first_of_a_process(name: str, prepared: bool, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has answered nothing yet finds out before its first answer, whatever else it knows already."""
    monkeypatch.setattr("health_check.monitor.runtime.ANSWER_SECONDS", SECONDS)  # the machine may be slow
    assert runtime.drain()
    runtime.reset()
    if prepared:
        assert runtime.get().catalogue.check_set.members
    assert runtime.get().monitor.store_client.draining is None
    assert ask(f"/{name}/?format=json").status_code == 503


@site
@STACKS
@pytest.mark.usefixtures("_shared_store")
def test_get__first_of_a_process_that_cannot_know(ask: Ask, tmp_path: pathlib.Path) -> None:
    """Where nobody can tell, the host is not drained, and nobody waits for long."""
    (tmp_path / "store").mkdir()
    began = time.monotonic()
    assert [ask(f"/{name}/?format=json").status_code for name in ("up", "up", "ready", "ready")] == [200] * 4
    assert time.monotonic() - began < SECONDS


@pytest.mark.usefixtures("_shared_store")
def test_read__asks_the_store_no_more_often(mount: Mount, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """A readiness endpoint asks a store once in a while only, whether anybody has drained or not."""
    monkeypatch.setattr("health_check.stores.client.DRAINING_SECONDS", 1000.0)
    mount(
        path("ready/", HealthCheckView.as_view(checks=[Fine], readiness=True), name="ready"),
        path("up/", HealthCheckView.as_view(checks=[], readiness=True), name="up"),
    )
    calls: list[object] = []
    do = SQLiteStore._do

    def counted(*args: Any, **options: Any) -> object:
        calls.append(args)
        return do(*args, **options)

    monkeypatch.setattr(SQLiteStore, "_do", counted)
    for undo in (None, False, True):
        if undo is not None:
            assert runtime.drain(undo=undo)
        client.get("/ready/")
        calls.clear()
        statuses = {client.get(url, {"format": "json"}).status_code for url in ("/ready/", "/up/") for _ in range(50)}
        assert statuses == {503 if undo is False else 200}
        assert len(calls) == 0
