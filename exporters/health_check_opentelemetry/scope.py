"""The instrumentation scope of our spans and metrics."""

from __future__ import annotations

from opentelemetry import metrics
from opentelemetry.metrics import Meter, MeterProvider

from health_check import __version__

SCOPE = "health_check_opentelemetry"
"""Its name."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
"""The schema of ``code.function.name``, ``error.type`` and the names of units and instruments."""


def meter_of(provider: MeterProvider | None) -> Meter:
    """Return our meter of a provider; default the global one, of now or later."""
    return metrics.get_meter(SCOPE, __version__, provider, SCHEMA_URL)
