"""What a scrape costs: against prometheus_client rendering the same samples from a collector of its own families."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from benchmarks.figures import Figure
from benchmarks.sites import site_of
from benchmarks.timing import compare

TARGET = 1.2
"""What a scrape is to cost at most."""


class Plain(Collector):
    """Other metrics with as many samples, labels and values, added anew at each scrape as a collector does.

    Args:
        families: What to be like.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [
            (MAKERS[family.type], family.name, family.documentation, _rows(family)) for family in families
        ]

    def collect(self) -> Iterator[Metric]:
        for maker, name, documentation, rows in self._families:
            family = maker(name, documentation, labels=rows[0][0] if rows else ())
            for _, *row in rows:
                family.add_metric(*row)
            yield family


MAKERS: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "info": InfoMetricFamily,
}
"""The families that the library offers to collectors."""


def _rows(family: Metric) -> list[tuple[Any, ...]]:
    """Return the names of the labels of each thing that is measured, and what to add of it."""
    if family.type == "histogram":
        return _histograms(family)
    if family.type == "info":
        return [
            (["check"], [s.labels["check"]], {k: v for k, v in s.labels.items() if k != "check"})
            for s in family.samples
        ]
    return [([*sample.labels], [*sample.labels.values()], sample.value) for sample in family.samples]


def _histograms(family: Metric) -> list[tuple[Any, ...]]:
    buckets: dict[str, list[tuple[str, float]]] = {}
    sums: dict[str, float] = {}
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            buckets.setdefault(sample.labels["check"], []).append((sample.labels["le"], sample.value))
        elif sample.name.endswith("_sum"):
            sums[sample.labels["check"]] = sample.value
    return [(["check"], [check], found, sums[check]) for check, found in buckets.items()]


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures for sites of several sizes, and both formats."""
    from health_check_prometheus import HealthCheckCollector

    for checks in (10, 100, 1000):
        with site_of(checks, folder):
            ours = HealthCheckCollector(registry=None)
            plain = Plain(ours.collect())
            samples = sum(len(family.samples) for family in ours.collect())
            for name, encode in (("text", generate_latest), ("OpenMetrics", openmetrics.generate_latest)):
                yield compare(
                    f"scrape of {checks} checks, {name}",
                    functools.partial(encode, ours),
                    f"{samples} plain samples",
                    functools.partial(encode, plain),
                    target=TARGET,
                )
