"""What the app registers: an observer and the gauges, with the global providers."""

from __future__ import annotations

import functools

from health_check import extensions
from health_check.extensions import ShutDown
from health_check_opentelemetry.gauges import observe
from health_check_opentelemetry.observer import SpanObserver


@functools.cache
def register() -> None:
    """Register all of it, once."""
    extensions.register_observer(SpanObserver())
    observe()
    extensions.telemetry["otlp"] = _set_up


def _set_up() -> ShutDown | None:
    try:
        from health_check_opentelemetry.sdk import export_by_otlp
    except ImportError as error:
        raise extensions.TelemetryError(f"OpenTelemetry cannot be set up: {error}") from error
    return export_by_otlp()
