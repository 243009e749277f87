"""What the exporter registers: the collector, the page and the outputs of the command."""

from __future__ import annotations

import functools

from health_check import extensions
from health_check_prometheus.collector import HealthCheckCollector
from health_check_prometheus.push import push, verify_push, verify_textfile, write_textfile
from health_check_prometheus.views import MetricsView


def register() -> None:
    """Register all of it; again does no harm. Nothing runs before a scrape."""
    _default_collector()
    extensions.pages.setdefault("/metrics", MetricsView.as_view())
    extensions.outputs["textfile"] = extensions.Output(write_textfile, verify_textfile)
    extensions.outputs["pushgateway"] = extensions.Output(push, verify_push)


@functools.cache
def _default_collector() -> HealthCheckCollector:
    return HealthCheckCollector()
