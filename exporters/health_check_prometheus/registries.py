"""The sources: what a metrics page shows, which depends on how many processes the site has."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from health_check.logs import log_once
from health_check_prometheus.collector import HealthCheckCollector

MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""The environment variables that say where processes write their metrics."""

PARTS = ("", "_bucket", "_count", "_sum")
"""What the names of a metric's series end with; those of a histogram or summary have a part more."""


def source_of(registry: Any, names: Collection[str] = ()) -> Collector:
    """Return what a page of a registry shows.

    In prometheus_client's multiprocess mode, its default registry has only what this process counted. Then the page
    has what all processes wrote, together with ours, which need no files: their records are shared anyway.

    Args:
        registry: The registry of the page.
        names: Only the metrics or series of these names; empty for all.
    """
    if registry is REGISTRY and any(name in os.environ for name in MULTIPROCESS):
        registry = CollectorRegistry(auto_describe=bool(names))  # the files say what there is to restrict
        _add_multiprocess(registry)
        HealthCheckCollector(registry)
    return _restricted(registry, names)


def own_source(names: Collection[str] = ()) -> Collector:
    """Return what a page of the health checks alone shows."""
    registry = CollectorRegistry()
    HealthCheckCollector(registry)
    return _restricted(registry, names)


def _restricted(registry: Any, names: Collection[str]) -> Collector:
    """Return what a registry has of these names, so that collectors which have none of them are not asked."""
    series = {f"{name}{part}" for name in names for part in PARTS}
    restricted: Collector = registry.restricted_registry(series) if names else registry
    return restricted


def _add_multiprocess(registry: Any) -> None:
    collector: Any = MultiProcessCollector
    try:
        collector(registry)
    except ValueError as error:
        log_once("multiprocess", "The metrics that processes wrote cannot be read: make the folder.", error)
