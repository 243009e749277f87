"""Draining, as endpoints, formats and the page show it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor import runtime
from health_check.monitor.reports import Report, Row
from health_check.stores.sqlite import SQLiteStore
from health_check.views import HealthCheckView, renderers
from health_check.views.headline import mood_of
from health_check.views.html import render_page
from tests.conftest import Mount
from tests.support.checks import Broken, Fine, Shaky
from tests.support.readings import reading, report, row
from tests.support.site.stacks import STACKS, Ask

NOTICE = "unavailable: this host is drained"

SECONDS = 20.0
"""How long answers may take where nobody is to wait."""


class Asking(HealthCheckView):
    """Chooses its checks by the request."""

    readiness = True

    def get_plugins(self) -> Iterable[Any]:
        yield self.request.path, Fine()


class ByClass(HealthCheckView):
    """Is for readiness, as its class says."""

    readiness = True
    checks = (Fine,)


def by_hand(request: HttpRequest) -> HttpResponse:
    """Answer as a health view does that no URLconf shows."""
    return HealthCheckView.as_view(checks=[Fine], readiness=True)(request)


STATUSES = {
    "ready": (200, 503),
    "up": (200, 503),
    "sick": (500, 503),
    "sick-418": (418, 503),
    "asking": (200, 503),
    "by-class": (200, 503),
    "by-hand": (200, 503),
    "not-by-class": (200, 200),
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
        path("by-class/", ByClass.as_view(), name="by-class"),
        path("not-by-class/", ByClass.as_view(readiness=False), name="not-by-class"),
        path("by-hand/", by_hand),
        path("health/", view(checks=[Fine]), name="health"),
        path("live/", view(checks=[], liveness=True), name="live"),
        path("failing/", view(checks=[Broken]), name="failing"),
        path("bare/", view(checks=[Broken], readiness=True, details="never")),
        path("guarded/", view(checks=[Broken], readiness=True, details="authorized")),
        path("closed/", view(checks=[Fine], readiness=True, open=False, tokens=["a"])),
    )


site = pytest.mark.usefixtures("_site")


@site
@STACKS
@pytest.mark.parametrize("health_check", [{}, {"MAX_CONCURRENCY": 4, "MAX_AGE": 10}], ids=["tested", "on threads"])
def test_get__while_drained(ask: Ask, health_check: dict[str, object], settings: Settings) -> None:
    """Readiness endpoints answer 503, however their checks are; all others answer as ever, and so do all afterwards."""
    settings.HEALTH_CHECK = health_check
    for undo in (True, False, True):
        assert runtime.drain(undo=undo)
        for name, (usual, drained) in STATUSES.items():
            response = ask(f"/{name}/?format=json")
            assert response.status_code == (usual if undo else drained), name
            assert (NOTICE in response.content.decode()) is (not undo and drained == 503)


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
    ("method", "url", "headers", "status"),
    [
        ("HEAD", "/ready/", {}, 503),
        ("OPTIONS", "/ready/", {}, 503),
        ("POST", "/ready/", {}, 405),
        ("GET", "/ready/?format=x", {}, 406),
        ("GET", "/ready/", {"Accept": "image/png"}, 406),
        ("GET", "/closed/", {}, 401),
        ("GET", "/closed/?format=json", {"Authorization": "Bearer a"}, 503),
        ("GET", "/bare/?format=json", {}, 503),
        ("GET", "/guarded/?format=json", {}, 503),
    ],
)
def test_request__of_another_kind(ask: Ask, method: str, url: str, headers: dict[str, str], status: int) -> None:
    """HEAD and OPTIONS have the status of GET, what asks for no report the answer it always has; it is no secret."""
    runtime.drain()
    response = ask(url, method=method, headers=headers)
    assert response.status_code == status
    assert method != "HEAD" or response.content == b""
    assert (b"this host is drained" in response.content) == (status == 503 and method == "GET")
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


def test_read__every_endpoint(mount: Mount) -> None:
    """An overview of all endpoints says it of those for readiness, whatever counts against them, and of no check."""
    mount(
        path("ready/", HealthCheckView.as_view(checks=[Fine], readiness=True), name="ready"),
        path("strict/", HealthCheckView.as_view(checks=[Shaky], readiness=True), name="strict"),
        path("r/", HealthCheckView.as_view(checks=[Shaky], readiness=True, warnings_as_errors=False), name="r"),
        path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"),
    )
    runtime.drain()
    overview = runtime.read()
    assert [(each.name, each.healthy, each.status_code, each.rows[0].counts) for each in overview.reports] == [
        ("ready", False, 503, False),
        ("strict", False, 503, True),
        ("r", False, 503, False),
        ("health", True, 200, False),
    ]
    assert [found.label for found in overview.readings] == ["Fine", "Shaky"]
    assert runtime.store_summary(overview.readings).draining


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


@site
@pytest.mark.usefixtures("_shared_store")
def test_read__asks_the_store_no_more_often(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """A readiness endpoint asks a store once in a while only, whether anybody has drained or not."""
    monkeypatch.setattr("health_check.stores.client.DRAINING_SECONDS", 1000.0)
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
        statuses = {client.get(url, {"format": "json"}).status_code for url in ("/ready/", "/up/") for _ in range(10)}
        assert statuses == {503 if undo is False else 200}
        assert len(calls) == 0


LINK = "https://example.com/ready/"
ATOM = "{http://www.w3.org/2005/Atom}"

OK = row(reading("Database"))
ERROR = row(reading("Cache", ServiceUnavailable("gone")))
WARNING = row(reading("Disk", ServiceWarning("95 % in use")), critical=False)
OPTIONAL = row(reading("Search", ServiceUnavailable("gone")), critical=False)


def drained(*rows: Row) -> Report:
    """Return the report of a readiness endpoint of a host that is drained."""
    return dataclasses.replace(report(*rows), draining=True, status_code=503)


@pytest.mark.parametrize("rows", [(), (OK,), (OK, WARNING), (OK, ERROR)])
def test_formats__say_it_first(rows: tuple[Row, ...]) -> None:
    """JSON, text and health+json have it first; the checks are as ever."""
    usual, shown = report(*rows), drained(*rows)
    assert list(json.loads(renderers.as_json(shown)).items()) == [
        ("draining", NOTICE),
        *json.loads(renderers.as_json(usual)).items(),
    ]
    assert renderers.as_text(shown) == f"draining: {NOTICE}\n{renderers.as_text(usual)}"
    found, before = (json.loads(renderers.as_health_json(each)) for each in (shown, usual))
    assert (found["status"], found["output"], found["checks"]) == ("fail", NOTICE, before["checks"])
    assert "output" not in before


@pytest.mark.parametrize(
    ("name", "item", "title", "id_"),
    [("rss", "channel/item", "title", "guid"), ("atom", f"{ATOM}entry", f"{ATOM}title", f"{ATOM}id")],
)
def test_feed__is_the_first_item(name: str, item: str, title: str, id_: str) -> None:
    """A feed has one item more, first, with an id of its own."""
    items = ET.fromstring(renderers.as_feed(drained(OK, ERROR), name, LINK)).findall(item)  # noqa: S314 - our own output
    assert [found.findtext(title) for found in items] == ["draining", "Cache: error"]
    assert NOTICE in ET.tostring(items[0], encoding="unicode")
    assert len({found.findtext(id_) for found in items}) == 2


def page(shown: Report) -> str:
    """Return the page of a report."""
    context: dict[str, Any] = {"report": shown, "plugins": [], "errors": False}
    response = render_page(RequestFactory().get("/ready/"), ["health_check/index.html"], context, status=503)
    return response.content.decode()


def test_check_of_that_name__hides_nothing() -> None:
    """A check that happens to be called so does not make the body say that all is in order."""
    same = row(reading("draining"))
    for body in (renderers.as_json(drained(same)), renderers.as_text(drained(same))):
        assert NOTICE in body
    assert "drained: this host" in page(drained(same)).lower()


@pytest.mark.parametrize(
    ("shown", "mood", "heading"),
    [
        (drained(OK), "draining", "! Drained: this host is to get no new requests"),
        (drained(), "draining", "! Drained: this host is to get no new requests"),
        (drained(WARNING), "draining", "! Drained: this host is to get no new requests"),
        (drained(ERROR), "error", "✗ Failing: Cache"),
        (report(), "ok", "✓ Answering, without checks"),
        (report(OK), "ok", "✓ All checks pass"),
        (report(OK, WARNING), "ok", "✓ Working, 1 warning"),
        (report(dataclasses.replace(WARNING, critical=True)), "warning", "! Working, 1 warning"),
        (report(OPTIONAL, WARNING, WARNING), "warning", "! Working, 1 optional check failing, 2 warnings"),
        (report(ERROR), "error", "✗ Failing: Cache"),
        (report(*[ERROR] * 5), "error", "✗ Failing: Cache, Cache, Cache and 2 more"),
    ],
)
def test_page__heading_and_title(shown: Report, mood: str, heading: str) -> None:
    """Both say in plain words what fails, or that nothing does; a drained host is said in any case, as the checks."""
    document = page(shown)
    assert mood_of(shown) == mood
    assert f"<title>{heading}</title>" in document
    assert bool(re.search("This host is drained|Drained: this host", document)) == shown.draining
    found = re.search(r'(?s)<section class="hero (\w+)".*?<h1>(.*?)</h1>', document)
    assert found is not None
    assert found[1] == mood
    assert " ".join(re.sub("<[^>]*>", " ", found[2]).split()).startswith(heading)
    assert document.count("unavailable: gone") == sum("unavailable: gone" in str(each) for each in shown.readings)
