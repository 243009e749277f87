"""What a scrape costs: against prometheus_client rendering the same samples from a collector that has them at hand."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable, Iterator

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tests.benchmarks.figures import Figure
from tests.benchmarks.sites import site_of
from tests.benchmarks.timing import compare

TARGET = 1.2
"""What a scrape is to cost at most."""


class Plain(Collector):
    """Other metrics with as many samples, labels and values, made anew at each scrape as a collector does.

    Args:
        families: What to be like.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = [
            (f.name, f.documentation, f.type, [(s.name, s.labels, s.value) for s in f.samples]) for f in families
        ]

    def collect(self) -> Iterator[Metric]:
        for name, documentation, kind, samples in self._families:
            family = Metric(name, documentation, kind)
            for sample, labels, value in samples:
                family.samples.append(
                    Sample(sample, dict(zip(labels, labels.values(), strict=True)), value, None, None)
                )
            yield family


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
