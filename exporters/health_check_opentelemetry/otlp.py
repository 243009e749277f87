"""The exporters that send spans and metrics by OTLP over HTTP: the extra ``otlp``."""

from __future__ import annotations

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
except ImportError as error:
    raise ImportError("OTLP needs a package of its own: pip install 'django-health-exporter[otlp]'") from error

__all__ = ["OTLPMetricExporter", "OTLPSpanExporter"]
