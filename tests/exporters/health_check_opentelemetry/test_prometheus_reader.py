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
from health_check_prometheus import HealthCheckCollector
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.checks import Broken, Fine
from tests.support.parsing import families_in, generate_openmetrics
from tests.support.recording import recording_spans


@pytest.fixture
def registry(settings: Settings) -> Iterator[CollectorRegistry]:
    """A registry with our collector, and a reader of OpenTelemetry's metrics."""
    settings.HEALTH_CHECK = THREADS
    registry = CollectorRegistry(auto_describe=True)
    reader = PrometheusMetricReader(registry=registry)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe(provider)
    HealthCheckCollector(registry=registry)
    with recording_spans(metrics=provider):
        yield registry
    provider.shutdown()


def test_registry__has_both_under_names_of_their_own(registry: CollectorRegistry, mount_checks: Mount) -> None:
    """No family is there twice, the page can be read in both formats, and both tell the same."""
    mount_checks(Fine, Broken)
    runtime.read()
    families = families_in(generate_latest(registry).decode())
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
    ours_ok, others_ok = (
        {s.labels[name]: s.value for s in families[family].samples if s.labels.get("health_check_state", "ok") == "ok"}
        for family, name in (
            ("django_health_check_status", "check"),
            ("health_check_check_status", "health_check_name"),
        )
    )
    assert ours_ok == others_ok == {"Fine": 1.0, "Broken": 0.0}
    assert families_in(generate_openmetrics(registry))
    counted = registry.get_sample_value("django_health_check_runs_total", {"check": "Fine", "outcome": "ok"})
    assert counted == 1  # both read the record, at each scrape
