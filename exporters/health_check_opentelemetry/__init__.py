"""Follow the runs of health checks with OpenTelemetry."""

from health_check_opentelemetry.observer import SpanObserver

__all__ = ["SpanObserver"]
