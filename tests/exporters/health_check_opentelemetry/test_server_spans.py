"""The spans that Django's instrumentation makes of probes, and how to have none."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.util.http import parse_excluded_urls
from pytest_django import Settings

from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.recording import Spans, an_sdk

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "how-to" / "opentelemetry.md"

FORMATS = ("", "?format=json", "?format=health%2Bjson")

PROBES = ("/health/", "/health/live/", "/metrics")

OTHERS = (
    "/",
    "/shop/health/",
    "/health/insurance/",
    "/health/live/stream/",
    "/healthy/",
    "/metrics/sales/",
    "/api/metrics",
    "/search/?next=/health/",
    "/search/?next=https://shop.example.com/metrics",
)


def documented() -> str:
    """Return the value of the variable as the documentation has it."""
    match = re.search(r"OTEL_PYTHON_DJANGO_EXCLUDED_URLS='([^']+)'", DOCUMENT.read_text())
    assert match is not None
    return match[1]


@pytest.mark.parametrize("site", ["http://127.0.0.1:8000", "https://shop.example.com", "http://[::1]:9808", "http://h"])
def test_pattern__is_of_probes_alone(site: str) -> None:
    """The documented patterns match the absolute URLs of probes, whatever the host, and nothing else."""
    excluded = parse_excluded_urls(documented())
    for target in PROBES:
        assert excluded.url_disabled(site + target), target
        assert excluded.url_disabled(f"{site}{target}?"), target  # as urljoin() of Python 3.14 has it
    for target in OTHERS:
        assert not excluded.url_disabled(site + target.partition("?")[0]), target
        assert not excluded.url_disabled(site + target), target


def answer(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("here")


@pytest.fixture
def requests(settings: Settings, mount: Mount) -> Iterator[Callable[..., Spans]]:
    """A function that instruments a site with health endpoints and others, and returns where the spans are."""
    settings.HEALTH_CHECK = {"TRACES": "none"}
    settings.MIDDLEWARE = ["health_check.middleware.HealthCheckMiddleware", *settings.MIDDLEWARE]
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine]), name="health_check"),
        path("health/live/", HealthCheckView.as_view(checks=[]), name="live"),
        path("", include("health_check_prometheus.urls")),
        *(path(target.partition("?")[0].lstrip("/"), answer) for target in OTHERS[:-1]),
    )
    instrumentor = DjangoInstrumentor()
    with an_sdk() as spans:

        def instrument(**options: object) -> Spans:
            instrumentor.instrument(tracer_provider=spans.provider, **options)
            return spans

        yield instrument
        instrumentor.uninstrument()


def ask(targets: tuple[str, ...]) -> None:
    """Ask for all of these."""
    for target in targets:
        assert Client().get(target).status_code == 200, target


def test_probes__excluded(requests: Callable[..., Spans]) -> None:
    """With the documented patterns they have no spans, in whatever format, and all other requests have theirs."""
    spans = requests(excluded_urls=documented())
    ask(tuple(probe + query for probe in PROBES for query in FORMATS))
    assert spans.names == []
    ask(OTHERS)
    assert len(spans.names) == len(OTHERS)


def test_probes__answered_before_the_instrumentation(
    requests: Callable[..., Spans], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With our middleware before the instrumentation's they have no spans, and no host is refused."""
    monkeypatch.setenv("OTEL_PYTHON_DJANGO_MIDDLEWARE_POSITION", "1")
    settings.ALLOWED_HOSTS = ["shop.example.com"]
    settings.HEALTH_CHECK = {"TRACES": "none", "EARLY_METRICS": True}
    spans = requests()
    for probe in PROBES:
        assert Client(headers={"host": "10.0.0.7:8000"}).get(probe).status_code == 200, probe
    assert spans.names == []
    assert Client(headers={"host": "shop.example.com"}).get("/healthy/").status_code == 200
    assert spans.names == ["GET healthy/"]


def test_probes__behind_the_instrumentation(requests: Callable[..., Spans], settings: Settings) -> None:
    """Where it comes first, as by default, each probe is a trace of its own, and hosts not allowed are refused."""
    settings.ALLOWED_HOSTS = ["shop.example.com", "testserver"]
    spans = requests()
    ask(PROBES)
    assert spans.names == ["GET health/", "GET health/live/", "GET metrics"]
    assert Client(headers={"host": "10.0.0.7:8000"}).get("/health/").status_code == 400
