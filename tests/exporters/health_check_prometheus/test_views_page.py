"""The metrics page as HTTP: its parts, its headers, its methods, and its deadline."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import path
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from health_check_prometheus.scrape_timeout import SHARE, TIMEOUT_HEADER, scrape_timeout, seconds_left
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.client import Lag
from tests.support.parsing import parse_openmetrics, parse_text

pytestmark = pytest.mark.usefixtures("registry")

HISTOGRAM = "django_health_check_duration_seconds"

SCRAPE_WAIT = 1.0
MARGIN_SECONDS = 0.9
"""How much longer than the wait an answer may take on a busy machine; waiting twice is more."""


def names(client: Client, **query: str | list[str]) -> set[str]:
    """Return the names of the families of a page."""
    answer = client.get("/metrics", query)
    assert answer.status_code == 200
    return {family.name for family in parse_text(answer.content.decode())}


def test_scope__health(client: Client) -> None:
    """``?scope=health`` has the health checks alone; without it, or with an empty one, the page is whole."""
    ours = names(client, scope="health")
    assert "django_health_check_status" in ours
    assert all(name.startswith("django_health_check") for name in ours)
    assert names(client) == names(client, scope="") == {*ours, "shop_orders", "shop_orders_created"}


def test_scope__with_names(client: Client) -> None:
    """It may be restricted further, in OpenMetrics, too."""
    query: dict[str, str | list[str]] = {
        "scope": "health",
        "name[]": ["django_health_check_status", HISTOGRAM, "shop_orders_total"],
    }
    assert names(client, **query) == {"django_health_check_status", HISTOGRAM}
    answer = client.get("/metrics", query, headers={"Accept": "application/openmetrics-text"})
    parsed = {family.name: family for family in parse_openmetrics(answer.content.decode())}
    assert parsed.keys() == {"django_health_check_status", HISTOGRAM}
    assert {sample.name for sample in parsed[HISTOGRAM].samples} == {
        f"{HISTOGRAM}_bucket",
        f"{HISTOGRAM}_count",
        f"{HISTOGRAM}_sum",
    }


@pytest.mark.parametrize("scope", ["nonsense", "HEALTH", "health "])
def test_scope__unknown(scope: str, client: Client) -> None:
    """Another scope is an error in plain words: a scrape of what was not meant would go unnoticed."""
    answer = client.get("/metrics", {"scope": scope})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert b"?scope=health" in answer.content
    assert answer.headers["Cache-Control"] == "no-store"


def test_names__of_a_histogram(client: Client) -> None:
    """The name of a histogram stands for all its series; that of one of them for that one."""
    query: dict[str, str | list[str]] = {"name[]": [HISTOGRAM]}
    [whole] = parse_text(client.get("/metrics", query).content.decode())
    [part] = parse_text(client.get("/metrics", {"name[]": [f"{HISTOGRAM}_sum"]}).content.decode())
    assert {s.name.removeprefix(HISTOGRAM) for s in whole.samples} == {"_bucket", "_count", "_sum"}
    assert {s.name.removeprefix(HISTOGRAM) for s in part.samples} == {"_sum"}


def test_names__more_than_django_reads(client: Client, settings: Settings) -> None:
    """More parameters than Django reads are an error of the client's."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    answer = client.get("/metrics", {"name[]": ["x"] * 11})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (400, "no-store")


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate;q=0.5", "identity", "gzip;q=0, deflate", ""])
def test_gzip__with_middleware(accepted: str, client: Client, settings: Settings) -> None:
    """Under GZipMiddleware the page is compressed once, and says how long it is."""
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", "django.middleware.common.CommonMiddleware"]
    answer = client.get("/metrics", headers={"Accept-Encoding": accepted})
    body = gzip.decompress(answer.content) if "Content-Encoding" in answer.headers else answer.content
    assert b"# TYPE django_health_check_status gauge" in body
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Vary"].lower().count("accept-encoding") == 1


@pytest.mark.parametrize("query", ["", "?scope=health", "?name[]=django_health_check_status"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers__of_every_page(method: str, query: str, client: Client) -> None:
    """No page is kept by a cache, and each says that it depends on what is accepted."""
    answer = client.generic(method, f"/metrics{query}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert {part.strip() for part in answer.headers["Vary"].split(",")} == {"Accept", "Accept-Encoding"}
    assert (answer.content == b"") == (method == "HEAD")


def test_options__says_what_is_allowed(client: Client) -> None:
    """OPTIONS names the methods, and collects nothing."""
    answer = client.options("/metrics")
    assert (answer.status_code, answer.content) == (200, b"")
    assert {method.strip() for method in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods__say_what_is_allowed(method: str, client: Client) -> None:
    """Any other method is refused, with the ones that are not."""
    answer = client.generic(method, "/metrics")
    assert answer.status_code == 405
    assert {"GET", "HEAD", "OPTIONS"} == {name.strip() for name in answer.headers["Allow"].split(",")}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.fixture
def slow(settings: Settings, mount: Mount, registry: CollectorRegistry) -> Iterator[None]:
    """A site whose check does not end before the test does, and a collector beside ours that fails."""
    release = threading.Event()

    class Slow(HealthCheck):
        def check_status(self) -> None:
            release.wait()

    class Failing(Collector):
        def describe(self) -> list[Metric]:
            return [CounterMetricFamily("shop_broken", "Fails.")]

        def collect(self) -> list[Metric]:
            raise ZeroDivisionError("a defect of somebody else's")

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "SCRAPE_WAIT": SCRAPE_WAIT}
    mount(
        path("health/", HealthCheckView.as_view(checks=[Slow]), name="health"),
        path("metrics", MetricsView.as_view(registry=registry)),
    )
    registry.register(Failing())
    yield
    release.set()


@pytest.mark.usefixtures("slow")
def test_deadline__holds_for_the_whole_page(client: Client, lag: Lag) -> None:
    """Where others fail, so that ours are collected twice, both together wait no longer than one scrape may."""
    start = time.monotonic()
    answer = client.get("/metrics")
    seconds = time.monotonic() - start
    assert b'django_health_check_state{check="Slow",state="unknown"} 1.0' in answer.content
    assert SCRAPE_WAIT <= seconds < SCRAPE_WAIT + MARGIN_SECONDS + lag.slack


def test_deadline__passes() -> None:
    """What is left of it becomes less, and never less than nothing; outside a page it is the whole wait."""
    with scrape_timeout("0.1"):
        first = seconds_left()
        until = time.monotonic() + 0.2
        while (left := seconds_left()) > 0 and time.monotonic() < until:
            assert left <= first <= SHARE * 0.1
        assert seconds_left() == 0
    assert seconds_left() == 2


def test_deadline__unusable_setting(client: Client, settings: Settings) -> None:
    """A wait that is no number does not take the metrics of others away."""
    settings.HEALTH_CHECK = {"SCRAPE_WAIT": "long"}
    answer = client.get("/metrics", headers={TIMEOUT_HEADER: "10"})
    assert answer.status_code == 200
    assert b"shop_orders_total 0.0" in answer.content
    assert b"django_health_check_store_up 0.0" in answer.content
