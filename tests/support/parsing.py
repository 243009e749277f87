"""The reference parsers and encoder of prometheus_client, with types."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as text_parser
from prometheus_client.registry import Collector, CollectorRegistry


def parse_text(text: str) -> list[Metric]:
    """Return the families of a page in the text format."""
    return list(text_parser(text))


def parse_openmetrics(text: str) -> list[Metric]:
    """Return the families of a page in OpenMetrics."""
    return list(openmetrics_parser(text))  # type: ignore[no-untyped-call]


def families_in(page: str) -> dict[str, Metric]:
    """Return the families of a page in either format, by name; each is there once."""
    families = parse_openmetrics(page) if page.endswith("# EOF\n") else parse_text(page)
    found = {family.name: family for family in families}
    assert len(found) == len(families)
    return found


def generate_openmetrics(registry: CollectorRegistry) -> str:
    """Return the page of a registry in OpenMetrics."""
    page: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
    return page.decode()


def page_of(families: Iterable[Metric], *, openmetrics: bool) -> str:
    """Return the page of some families, in OpenMetrics or in the text format."""

    class Families(Collector):
        def collect(self) -> Iterable[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Families())
    return generate_openmetrics(registry) if openmetrics else generate_latest(registry).decode()
