"""Tells whoever receives the metrics of a process how often they were collected."""

from __future__ import annotations

import itertools

from opentelemetry import metrics

COLLECTIONS = "tests.collections"


def told() -> None:
    """Have each collection of this process be told, if it has an SDK."""
    numbers = itertools.count(1)
    metrics.get_meter("tests").create_observable_counter(COLLECTIONS, [lambda _: [metrics.Observation(next(numbers))]])
