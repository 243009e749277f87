"""The reference parsers and encoder of prometheus_client, with types."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as text_parser
from prometheus_client.registry import CollectorRegistry


def parse_text(text: str) -> list[Metric]:
    """Return the families of a page in the text format."""
    return list(text_parser(text))


def parse_openmetrics(text: str) -> list[Metric]:
    """Return the families of a page in OpenMetrics."""
    return list(openmetrics_parser(text))  # type: ignore[no-untyped-call]


def generate_openmetrics(registry: CollectorRegistry) -> str:
    """Return the page of a registry in OpenMetrics."""
    page: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return page.decode()
