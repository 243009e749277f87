"""The SDK of processes of our own: what it sends, as which service, and where it is not set up."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from pytest_django import Settings

from health_check.extensions import ShutDown, TelemetryError
from health_check_opentelemetry import sdk
from health_check_opentelemetry.observer import is_of_the_api
from tests.support.otlp import Arrived, Receiver, receiver

SECONDS = 20.0
"""How long sending may take where nothing hinders it."""

EXPORT_SECONDS = 10.0
"""After how long the SDK gives up one request."""


class Global:
    """The global providers, as long as a test runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tracers: trace.TracerProvider = trace.ProxyTracerProvider()
        self.meters: metrics.MeterProvider = metrics.NoOpMeterProvider()
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: self.tracers)
        monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: setattr(self, "tracers", provider))
        monkeypatch.setattr(metrics, "get_meter_provider", lambda: self.meters)
        monkeypatch.setattr(metrics, "set_meter_provider", lambda provider: setattr(self, "meters", provider))

    def use(self, shut_down: ShutDown | None) -> None:
        """Make a span and a measurement, and have them sent."""
        self.tracers.get_tracer("tests").start_span("work").end()
        self.meters.get_meter("tests").create_counter("works").add(1)
        assert shut_down is not None
        shut_down(SECONDS)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Global:
    """What there is without an SDK."""
    return Global(monkeypatch)


def sent(monkeypatch: pytest.MonkeyPatch, found: Global, variables: Mapping[str, str]) -> Receiver:
    """Set up the SDK with these environment variables, use it, and return what has arrived."""
    with receiver() as arrived:
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": arrived.url, **variables}.items():
            monkeypatch.setenv(name, value)
        found.use(sdk.export_by_otlp())
    return arrived


def resource_of(arrived: Receiver) -> Mapping[str, object]:
    """Return what spans and metrics say that they are of."""
    items: list[Arrived] = [*arrived.named("work"), *arrived.of("works")]
    of_span, of_metric = (item.resource for item in items)
    assert of_span == of_metric
    return of_span


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"service.name": "tests"}),
        ({"OTEL_SERVICE_NAME": "shop"}, {"service.name": "shop"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=the%20shop,zone=b"}, {"service.name": "the shop", "zone": "b"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.version=7.1,service.instance.id=shop-1"},
            {"service.name": "tests", "service.version": "7.1", "service.instance.id": "shop-1"},
        ),
        ({"OTEL_SERVICE_NAME": "this", "OTEL_RESOURCE_ATTRIBUTES": "service.name=that"}, {"service.name": "this"}),
    ],
)
def test_resource__of_the_environment(
    monkeypatch: pytest.MonkeyPatch, found: Global, variables: dict[str, str], expected: dict[str, str]
) -> None:
    """The service is called as the environment says, else like the project, and has an instance."""
    resource = resource_of(sent(monkeypatch, found, variables))
    assert {name: resource.get(name) for name in expected} == expected
    assert resource["service.instance.id"]


def test_resource__of_a_package(
    monkeypatch: pytest.MonkeyPatch, found: Global, settings: Settings, tmp_path: pathlib.Path
) -> None:
    """A project that is installed as a package has that one's version."""
    metadata = tmp_path / "the_shop-1.2.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: the-shop\nVersion: 1.2.3\n")
    (metadata / "top_level.txt").write_text("shop\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.SETTINGS_MODULE = "shop.settings"
    resource = resource_of(sent(monkeypatch, found, {}))
    assert (resource["service.name"], resource["service.version"]) == ("shop", "1.2.3")


@pytest.mark.parametrize(("variable", "arrive"), [("OTEL_TRACES_EXPORTER", (0, 1)), ("OTEL_METRICS_EXPORTER", (1, 0))])
def test_export__one_of_the_two(
    monkeypatch: pytest.MonkeyPatch, found: Global, variable: str, arrive: tuple[int, int]
) -> None:
    """Spans, or metrics, are left out where a variable says so."""
    arrived = sent(monkeypatch, found, {variable: "none"})
    assert (len(arrived.spans), len(arrived.points)) == arrive


@pytest.mark.parametrize("half", ["tracers", "meters"])
def test_export__not_where_there_is_an_sdk(found: Global, half: str) -> None:
    """Somebody's own SDK stays as it is; one for spans or for metrics alone is one, too."""
    theirs = {"tracers": TracerProvider, "meters": MeterProvider}[half](shutdown_on_exit=False)
    setattr(found, half, theirs)
    assert sdk.export_by_otlp() is None
    assert getattr(found, half) is theirs
    assert is_of_the_api(found.tracers) != is_of_the_api(found.meters)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc': use 'http/protobuf', with an"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL is 'http/json'"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1", "OpenTelemetry cannot be set up: interval value -1"),
    ],
)
def test_export__variables_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, found: Global, variable: str, value: str, text: str
) -> None:
    """A variable that makes no sense here is an error that names it, and changes nothing."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(TelemetryError) as error:
        sdk.export_by_otlp()
    assert str(error.value).startswith(text)
    assert is_of_the_api(found.tracers)
    assert is_of_the_api(found.meters)


def test_export__ends_in_time(monkeypatch: pytest.MonkeyPatch, found: Global) -> None:
    """What nobody takes is left behind when the time is over."""
    with receiver() as arrived:
        arrived.answering.clear()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", arrived.url)
        shut_down = sdk.export_by_otlp()
        found.tracers.get_tracer("tests").start_span("work").end()
        assert shut_down is not None
        start = time.monotonic()
        shut_down(0.1)
        assert time.monotonic() - start < EXPORT_SECONDS / 2
