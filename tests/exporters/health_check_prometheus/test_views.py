"""The metrics page."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import path
from prometheus_client import CollectorRegistry, Counter
from pytest_django import Settings

from health_check import conf
from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from health_check_prometheus import HealthCheckCollector
from health_check_prometheus.scrape_timeout import scrape_timeout, seconds_left
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.parsing import parse_openmetrics, parse_text

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("accept", [None, "", "*/*", "text/plain", "text/plain;version=0.0.4", "text/html"])
def test_get__text(client: Client, accept: str | None) -> None:
    """The page is the text format 0.0.4 unless another one is asked for; always 200 and never stored."""
    response = client.get("/metrics", headers={} if accept is None else {"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(TEXT)
    assert "no-store" in response.headers["Cache-Control"]
    assert "Accept" in response.headers["Vary"]
    found = {family.name: family for family in parse_text(response.content.decode())}
    assert {sample.labels["check"]: sample.value for sample in found["django_health_check_status"].samples} == {
        "Fine": 1,
        "Broken": 0,
    }
    assert "shop_orders" in found


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("accept", [OPENMETRICS, PROMETHEUS, "application/openmetrics-text"])
def test_get__openmetrics(client: Client, accept: str) -> None:
    """What Prometheus asks for is answered in OpenMetrics 1.0, which the reference parser takes."""
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(OPENMETRICS)
    families = {family.name: family for family in parse_openmetrics(response.content.decode())}
    assert families["django_health_check_runs"].type == "counter"
    assert families["django_health_check"].type == "info"
    assert response.content.endswith(b"# EOF\n")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "accept",
    [
        "nonsense",
        ";;;,,,",
        "*/*;q=nonsense",
        "*/*;q=0",
        "image/png",
        "text/plain;version=nonsense",
        "application/openmetrics-text;version=nonsense",
        "application/openmetrics-text;version=",
        "application/openmetrics-text;version=1.0.0;escaping=nonsense",
        "text/plain;version=1.0.0;escaping=nonsense",
        "application/openmetrics-text;version=1..0",
        "text/plain;version=٣",
        "\x00",
    ],
)
def test_get__nonsense(client: Client, accept: str) -> None:
    """Nonsense gets a page that can be parsed, never an error."""
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    parse = parse_openmetrics if "openmetrics" in response.headers["Content-Type"] else parse_text
    assert "django_health_check_status" in {family.name for family in parse(response.content.decode())}


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["django_health_check_status"], {"django_health_check_status"}),
        (["django_health_check_runs_total", "shop_orders_total"], {"django_health_check_runs", "shop_orders"}),
        (["nonsense"], set()),
    ],
)
def test_get__names(client: Client, names: list[str], expected: set[str]) -> None:
    """The page may be restricted to some metrics."""
    response = client.get("/metrics", {"name[]": names})
    assert response.status_code == 200
    assert {family.name for family in parse_text(response.content.decode())} == expected


@pytest.mark.parametrize("names", [["shop_orders_total"], ["nonsense"]])
def test_get__names_of_others_run_nothing(mount: Mount, client: Client, names: list[str]) -> None:
    """A page restricted to other metrics runs no check."""
    runs: list[int] = []

    class Counting(HealthCheck):
        def check_status(self) -> None:
            runs.append(1)

    found = CollectorRegistry()
    HealthCheckCollector(found)
    Counter("shop_orders", "Another collector's.", registry=found)
    mount(
        path("health/", HealthCheckView.as_view(checks=[Counting])),
        path("metrics", MetricsView.as_view(registry=found)),
    )
    assert client.get("/metrics", {"name[]": names}).status_code == 200
    assert runs == []


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("deflate, gzip;q=1.0", True), ("gzip;q=0, identity", False), ("", False)],
)
def test_get__gzip(client: Client, accepted: str, compressed: bool) -> None:
    """The page is compressed for who accepts that, and says how long it is."""
    response = client.get("/metrics", headers={"Accept-Encoding": accepted})
    assert (response.headers.get("Content-Encoding") == "gzip") is compressed
    assert "Accept-Encoding" in response.headers["Vary"]
    body = gzip.decompress(response.content) if compressed else response.content
    assert b"django_health_check_status" in body
    assert int(response.headers.get("Content-Length", len(response.content))) == len(response.content)


def test_default_registry__whole(mount_checks: Mount, client: Client) -> None:
    """By default the page shows the whole default registry."""
    mount_checks(Fine)
    names = {family.name for family in parse_text(client.get("/metrics").content.decode())}
    assert {"django_health_check_status", "python_info"} <= names


@pytest.mark.parametrize("label", ['a "b" \\ c', "größe 🐍", "{x='y'}"])
@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS, PROMETHEUS])
def test_labels__any_text(mount_checks: Mount, client: Client, label: str, accept: str) -> None:
    """Quotes, backslashes, umlauts and emoji in a label come back as they were."""
    mount_checks((Fine, {"name": label}))
    response = client.get("/metrics", headers={"Accept": accept})
    parse = parse_openmetrics if "openmetrics" in response.headers["Content-Type"] else parse_text
    found = {family.name: family for family in parse(response.content.decode())}
    assert found["django_health_check_status"].samples[0].labels == {"check": label}


@pytest.fixture
def slow(settings: Settings, mount_checks: Mount) -> Iterator[None]:
    """A site whose check does not end before the test does."""
    release = threading.Event()

    class Slow(HealthCheck):
        def check_status(self) -> None:
            release.wait()

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "SCRAPE_WAIT": 3}
    mount_checks(Slow)
    yield
    release.set()


@pytest.mark.usefixtures("slow")
def test_scrape_timeout__of_the_header(client: Client) -> None:
    """The page is answered before the timeout that Prometheus announces, with the state unknown."""
    arrived = threading.Event()
    late = threading.Timer(2, arrived.set)
    late.start()
    response = client.get("/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.1"})
    assert not arrived.is_set()
    late.cancel()
    late.join()
    assert response.status_code == 200
    assert b'django_health_check_state{check="Slow",state="unknown"} 1.0' in response.content


@pytest.mark.parametrize("header", ["", "nonsense", "nan", "inf", "-1", "0", "1e999", None])
def test_scrape_timeout__nonsense(header: str | None) -> None:
    """A header that is no usable number does not count."""
    with scrape_timeout(header):
        assert 1 < seconds_left() <= conf.settings.SCRAPE_WAIT == 2


@pytest.mark.parametrize(("header", "below"), [("1", 1), ("0.5", 0.5), ("10", 2.01), ("2", 2)])
def test_scrape_timeout__less_than_announced(header: str, below: float) -> None:
    """The wait is less than what is announced, and SCRAPE_WAIT at most."""
    with scrape_timeout(header):
        assert 0 < seconds_left() < below
    assert seconds_left() == 2


@pytest.mark.usefixtures("mount_checks")
@pytest.mark.parametrize("header", ["nonsense", "nan", "-1", "\x00"])
def test_scrape_timeout__nonsense_on_the_page(mount_checks: Mount, client: Client, header: str) -> None:
    """A nonsensical header makes no error."""
    mount_checks(Fine)
    response = client.get("/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": header})
    assert response.status_code == 200
    assert b'django_health_check_status{check="Fine"} 1.0' in response.content
