"""Follow the runs of health checks as OpenTelemetry spans."""

from health_check_opentelemetry.spans import SpanObserver

__all__ = ["SpanObserver"]
