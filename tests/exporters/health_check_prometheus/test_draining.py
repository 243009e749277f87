"""Draining, as the metrics show it."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import path

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine


@pytest.fixture(autouse=True)
def _site(mount: Mount) -> None:
    view = HealthCheckView.as_view
    mount(
        path("ready/", view(checks=[Fine], readiness=True), name="ready"),
        path("up/", view(checks=[], readiness=True), name="up"),
        path("sick/", view(checks=[Broken], readiness=True), name="sick"),
        path("live/", view(checks=[], liveness=True), name="live"),
        path("health/", view(checks=[Fine]), name="health"),
        path("metrics", MetricsView.as_view()),
    )


def samples() -> dict[str, float]:
    """Return what the page shows of endpoints, checks and draining."""
    body = Client().get("/metrics").content.decode()
    names = "draining|endpoint_status|status|state"
    found = re.findall(rf"(?m)^django_health_check_((?:{names})(?:{{[^}}]*}})?) (\S+)$", body)
    return {name: float(value) for name, value in found}


def test_metrics__while_drained() -> None:
    """The gauge is 1, readiness endpoints are not in order, and all else is as it was; and so it is afterwards."""
    before = samples()
    assert before["draining"] == 0
    runtime.drain()
    changed = {"draining": 1, 'endpoint_status{url_name="ready"}': 0, 'endpoint_status{url_name="up"}': 0}
    assert samples() == {**before, **changed}
    runtime.drain(undo=True)
    assert samples() == before
    statuses = {name: value for name, value in before.items() if name.startswith("endpoint_status")}
    assert statuses == {
        'endpoint_status{url_name="ready"}': 1,
        'endpoint_status{url_name="up"}': 1,
        'endpoint_status{url_name="sick"}': 0,
        'endpoint_status{url_name="live"}': 1,
        'endpoint_status{url_name="health"}': 1,
    }
