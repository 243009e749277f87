"""OpenTelemetry's metrics in the registry of Prometheus, beside ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from pytest_django import Settings

from health_check.monitor import runtime
from health_check_opentelemetry.gauges import INSTRUMENTS, observe
from health_check_opentelemetry.observer import SCOPE
from health_check_prometheus import HealthCheckCollector
from tests.conftest import Mount
from tests.support.bench import Script
from tests.support.checks import Broken, Fine
from tests.support.parsing import generate_openmetrics, parse_openmetrics, parse_text
from tests.support.recording import recording_spans


@pytest.fixture
def registry(settings: Settings) -> Iterator[CollectorRegistry]:
    """A registry with our collector, and a reader of OpenTelemetry's metrics."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    registry = CollectorRegistry(auto_describe=True)
    reader = PrometheusMetricReader(registry=registry)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe(SCOPE, provider)
    HealthCheckCollector(registry=registry)
    with recording_spans(metrics=provider):
        yield registry
    provider.shutdown()


def test_registry__has_both_under_names_of_their_own(registry: CollectorRegistry, mount_checks: Mount) -> None:
    """No family is there twice, the page can be read in both formats, and both tell the same."""
    mount_checks(Fine, Broken)
    runtime.read()
    families = {family.name: family for family in parse_text(generate_latest(registry).decode())}
    ours = {name for name in families if name.startswith("django_health_check_")}
    others = {name for name in families if name.startswith("health_check_")}
    assert {
        "health_check_check_duration_seconds",
        "health_check_check_status",
        "health_check_check_time_taken_seconds",
        "health_check_check_last_run_timestamp_seconds",
        "health_check_check_runs",
        "health_check_endpoint_status",
        "health_check_store_up",
    } < others
    assert len(others) == len(INSTRUMENTS)  # with the histogram, and without what is absent while nothing hangs
    assert set(families) - ours - others == {"target_info"}
    names = [name for family in families.values() for name in {sample.name for sample in family.samples}]
    assert len(names) == len(set(names))
    for label, value in (("Fine", 1.0), ("Broken", 0.0)):
        [status] = [s.value for s in families["django_health_check_status"].samples if s.labels["check"] == label]
        [state] = [
            sample.value
            for sample in families["health_check_check_status"].samples
            if (sample.labels["health_check_name"], sample.labels["health_check_state"]) == (label, "ok")
        ]
        assert status == state == value
    assert parse_openmetrics(generate_openmetrics(registry))


def test_registry__one_scrape_runs_a_check_once(registry: CollectorRegistry, mount_checks: Mount) -> None:
    """Both read the record."""
    script = Script()
    mount_checks(script.define().check_class)
    for _ in range(2):
        generate_latest(registry)
    assert script.runs == 1
