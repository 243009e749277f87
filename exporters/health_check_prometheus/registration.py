"""What the exporter registers: the collector, the page and the outputs of the command."""

from __future__ import annotations

from health_check import extensions
from health_check_prometheus.collector import register_default
from health_check_prometheus.push import push, verify_push, verify_textfile, write_textfile
from health_check_prometheus.views import MetricsView


def register() -> None:
    """Register all of it; again does no harm. Nothing runs before a scrape."""
    register_default()
    if "/metrics" not in extensions.pages():
        extensions.register_page("/metrics", MetricsView.as_view())
    extensions.register_output("textfile", write_textfile, verify=verify_textfile)
    extensions.register_output("pushgateway", push, verify=verify_push)
