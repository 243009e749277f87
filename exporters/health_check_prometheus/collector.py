"""The collector: renders the records as metric families, and keeps nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from health_check.extensions import Trigger, process_role, triggered_by
from health_check.logs import log_once
from health_check.monitor.history import StoreSummary
from health_check.monitor.runtime import read, store_summary
from health_check_prometheus.families import families_of
from health_check_prometheus.scrape_timeout import seconds_left


class HealthCheckCollector(Collector):
    """Collect the state of all endpoints and their checks at each scrape.

    A scrape reads the same records as all other answers, and waits at most ``HEALTH_CHECK["SCRAPE_WAIT"]`` seconds
    for checks that have to run.

    Args:
        registry: Where to register; None registers nowhere.

    Raises:
        ValueError: If the registry has metrics of these names already.
    """

    def __init__(self, registry: CollectorRegistry | None = REGISTRY) -> None:
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return the families; without samples if the checks are not configured properly."""
        try:
            with triggered_by(Trigger.SCRAPE):
                overview = read(wait=seconds_left())
            return families_of(overview, store_summary(overview.readings), process_role())
        except Exception as error:
            log_once("collector", "The metrics of the health checks could not be collected.", error)
            return families_of(None, StoreSummary(), process_role())

    def describe(self) -> Iterable[Metric]:
        """Return the families as they are without any check, so that registering runs none."""
        return families_of(None, StoreSummary())
