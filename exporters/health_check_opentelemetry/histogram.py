"""The histogram of how long runs take, of those of this process."""

from __future__ import annotations

from django.utils.functional import cached_property
from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.util.types import AttributeValue

import health_check
from health_check.conf import settings
from health_check.extensions import Definition
from health_check.records import Result
from health_check_opentelemetry.schema import SCHEMA_URL

DURATION = "health_check.check.duration"
"""The name of the histogram."""


class Durations:
    """Record runs in the context of their spans, from which the SDK takes exemplars.

    Args:
        scope: The instrumentation scope.
        meter_provider: The meter provider; default the global one.
    """

    def __init__(self, scope: str, meter_provider: MeterProvider | None) -> None:
        self._scope = scope
        self._meter_provider = meter_provider

    @cached_property
    def _histogram(self) -> Histogram:
        meter = metrics.get_meter(self._scope, health_check.__version__, self._meter_provider, SCHEMA_URL)
        return meter.create_histogram(
            DURATION,
            unit="s",
            description="How long the runs of a check took.",
            explicit_bucket_boundaries_advisory=settings.DURATION_BUCKETS,
        )

    def record(self, definition: Definition, result: Result, within: Context) -> None:
        """Record a run.

        Args:
            definition: The check.
            result: The outcome.
            within: The context of its span.
        """
        attributes: dict[str, AttributeValue] = {
            "health_check.name": definition.label,
            "health_check.state": result.state.value,
        }
        if result.error_type is not None:
            attributes["error.type"] = result.error_type
        self._histogram.record(max(0.0, result.time_taken), attributes, within)
