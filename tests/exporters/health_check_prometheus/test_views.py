"""The metrics page as HTTP: its formats, its parts, its headers, its methods, and its deadline."""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from prometheus_client import CollectorRegistry
from pytest_django import Settings

from health_check.views import HealthCheckView
from health_check_prometheus.scrape_timeout import SHARE, TIMEOUT_HEADER, scrape_timeout, seconds_left
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.exporters.health_check_prometheus.conftest import FailingCollector
from tests.support.bench import Held, Script
from tests.support.checks import Fine
from tests.support.client import Lag
from tests.support.parsing import families_in

STATUS = "django_health_check_status"
HISTOGRAM = "django_health_check_duration_seconds"

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

SCRAPE_WAIT = 1.0
MARGIN_SECONDS = 0.9
"""How much longer than the wait an answer may take on a busy machine; waiting twice is more."""

pytestmark = pytest.mark.usefixtures("registry")


def ask(
    client: Client, query: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the answer, which no cache may keep."""
    answer: Any = client.get("/metrics", query, headers=dict(headers or {}))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
    assert isinstance(answer, HttpResponse)
    return answer


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ({}, TEXT),
        ({"Accept": "text/html"}, TEXT),
        ({"Accept": "\x00"}, TEXT),
        ({"Accept": ";;;,,,"}, TEXT),
        ({"Accept": "text/plain;version=٣"}, TEXT),
        ({"Accept": "application/openmetrics-text"}, OPENMETRICS),
        ({"Accept": PROMETHEUS}, OPENMETRICS),
    ],
)
def test_format__as_accepted(client: Client, accept: dict[str, str], content_type: str) -> None:
    """The page is of the format that is asked for, the text format 0.0.4 if none is; nonsense is no error."""
    answer = ask(client, headers=accept)
    assert answer.headers["Content-Type"].startswith(content_type)
    found = families_in(answer.content.decode())
    assert {sample.labels["check"]: sample.value for sample in found[STATUS].samples} == {"Fine": 1, "Broken": 0}
    assert "shop_orders" in found


def test_default_registry__whole(mount_checks: Mount, client: Client) -> None:
    """By default the page shows the whole default registry."""
    mount_checks(Fine)
    assert {STATUS, "python_info"} <= families_in(ask(client).content.decode()).keys()


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ({"name[]": [STATUS]}, TEXT, {STATUS}),
        ({"name[]": [STATUS, "shop_orders_total"]}, OPENMETRICS, {STATUS, "shop_orders_total"}),
        ({"name[]": [HISTOGRAM]}, OPENMETRICS, {f"{HISTOGRAM}{part}" for part in ("_bucket", "_count", "_sum")}),
        ({"name[]": [f"{HISTOGRAM}_sum"]}, TEXT, {f"{HISTOGRAM}_sum"}),
        ({"name[]": ["nonsense"]}, OPENMETRICS, set()),
        ({"scope": "health", "name[]": [STATUS, "shop_orders_total"]}, TEXT, {STATUS}),
    ],
)
def test_names__restrict_the_page(client: Client, query: object, accept: str, expected: set[str]) -> None:
    """``?name[]=`` restricts the page to series, or to all those of a metric, ``?scope=health`` to ours."""
    found = families_in(ask(client, query, headers={"Accept": accept}).content.decode()).values()
    assert {sample.name for family in found for sample in family.samples} == expected


@pytest.mark.parametrize("names", [["shop_orders_total"], ["nonsense"]])
def test_names__of_others_run_nothing(
    mount: Mount, client: Client, registry: CollectorRegistry, names: list[str]
) -> None:
    """A page restricted to other metrics runs no check."""
    script = Script()
    mount(
        path("health/", HealthCheckView.as_view(checks=[script.define().check_class])),
        path("metrics", MetricsView.as_view(registry=registry)),
    )
    ask(client, {"name[]": names})
    assert script.runs == 0


def test_names__more_than_django_reads(client: Client, settings: Settings) -> None:
    """More parameters than Django reads are an error of the client's."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    ask(client, {"name[]": ["x"] * 11}, status=400)


def test_scope__health(client: Client) -> None:
    """``?scope=health`` has the health checks alone; without it, or with an empty one, the page is whole."""
    ours, whole, empty = (
        families_in(ask(client, query).content.decode()).keys() for query in ({"scope": "health"}, {}, {"scope": ""})
    )
    assert STATUS in ours
    assert all(name.startswith("django_health_check") for name in ours)
    assert whole == empty == {*ours, "shop_orders", "shop_orders_created"}


@pytest.mark.parametrize("scope", ["nonsense", "HEALTH", "health "])
def test_scope__unknown(scope: str, client: Client) -> None:
    """Another scope is an error in plain words: a scrape of what was not meant would go unnoticed."""
    answer = ask(client, {"scope": scope}, status=400)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"?scope=health" in answer.content


@pytest.mark.parametrize("middleware", [[], ["django.middleware.gzip.GZipMiddleware"]], ids=["alone", "middleware"])
@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("gzip, deflate;q=0.5", True), ("identity", False), ("gzip;q=0, deflate", False), ("", False)],
)
def test_gzip__for_who_takes_it(
    accepted: str, compressed: bool, middleware: list[str], client: Client, settings: Settings
) -> None:
    """The page is compressed for who accepts that, once, and says how long it is."""
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]
    answer = ask(client, headers={"Accept-Encoding": accepted})
    is_compressed = answer.headers.get("Content-Encoding") == "gzip"
    assert is_compressed is compressed or middleware  # Django's knows no quality
    body = gzip.decompress(answer.content) if is_compressed else answer.content
    assert b"# TYPE django_health_check_status gauge" in body
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Vary"].lower().count("accept-encoding") == 1


@pytest.mark.parametrize("query", ["", "?scope=health", f"?name[]={STATUS}"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers__of_every_page(method: str, query: str, client: Client) -> None:
    """No page is kept by a cache, and each says that it depends on what is accepted."""
    answer = client.generic(method, f"/metrics{query}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert {part.strip() for part in answer.headers["Vary"].split(",")} == {"Accept", "Accept-Encoding"}
    assert (answer.content == b"") == (method == "HEAD")


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_methods__that_are_allowed(method: str, client: Client) -> None:
    """OPTIONS names the methods, and collects nothing; any other one is refused with them."""
    answer = client.generic(method, "/metrics")
    assert (answer.status_code, answer.content) == (200 if method == "OPTIONS" else 405, b"")
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("headers", "wait"), [({}, SCRAPE_WAIT), ({TIMEOUT_HEADER: "0.1"}, SHARE * 0.1)])
def test_deadline__holds_for_the_whole_page(
    client: Client,
    settings: Settings,
    mount: Mount,
    registry: CollectorRegistry,
    held: Held,
    lag: Lag,
    headers: dict[str, str],
    wait: float,
) -> None:
    """Where others fail, so that ours are collected twice, both together wait no longer than one scrape may."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "SCRAPE_WAIT": SCRAPE_WAIT}
    slow = held.check_class("Slow")
    mount(
        path("health/", HealthCheckView.as_view(checks=[slow]), name="health"),
        path("metrics", MetricsView.as_view(registry=registry)),
    )
    registry.register(FailingCollector())
    start = time.monotonic()
    answer = ask(client, headers=headers)
    seconds = time.monotonic() - start
    assert b'django_health_check_state{check="Slow",state="unknown"} 1.0' in answer.content
    assert wait <= seconds < wait + MARGIN_SECONDS + lag.slack


@pytest.mark.parametrize(
    ("header", "most"),
    [
        *((nonsense, 2.0) for nonsense in ("", "nonsense", "nan", "inf", "-1", "0", "1e999", "\x00", None)),
        *(("10", 2.0), ("2", SHARE * 2), ("1", SHARE), ("0.5", SHARE * 0.5)),
    ],
)
def test_deadline__less_than_announced(header: str | None, most: float) -> None:
    """The wait is less than what is announced, and SCRAPE_WAIT at most; what is no usable number does not count."""
    with scrape_timeout(header):
        assert most / 2 < seconds_left() <= most
    assert seconds_left() == 2


def test_deadline__passes() -> None:
    """What is left of it becomes less, and never less than nothing."""
    with scrape_timeout("0.1"):
        first = seconds_left()
        until = time.monotonic() + 0.2
        while (left := seconds_left()) > 0 and time.monotonic() < until:
            assert left <= first <= SHARE * 0.1
        assert seconds_left() == 0
