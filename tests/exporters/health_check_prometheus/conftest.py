"""What tests of the Prometheus exporter share."""

from __future__ import annotations

import pytest
from django.urls import path
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from health_check.views import HealthCheckView
from health_check_prometheus import HealthCheckCollector
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine


class FailingCollector(Collector):
    """A collector of somebody else's that has a defect."""

    def describe(self) -> list[Metric]:
        return [CounterMetricFamily("shop_broken", "Fails.")]

    def collect(self) -> list[Metric]:
        raise ZeroDivisionError("a defect of somebody else's")


@pytest.fixture
def registry(mount: Mount) -> CollectorRegistry:
    """A registry of its own, with our collector and a counter, shown at ``/metrics``."""
    found = CollectorRegistry()
    HealthCheckCollector(found)
    Counter("shop_orders", "Another collector's.", registry=found)
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"),
        path("metrics", MetricsView.as_view(registry=found)),
    )
    return found
