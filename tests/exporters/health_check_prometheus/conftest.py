"""What tests of the metrics page share."""

from __future__ import annotations

import pytest
from django.urls import path
from prometheus_client import CollectorRegistry, Counter

from health_check.views import HealthCheckView
from health_check_prometheus import HealthCheckCollector
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine


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
