"""What arrives by OpenTelemetry's protocol, OTLP: spans, metrics and log records, in the words of tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

Ids = tuple[str, str]
"""The ids of a trace and of a span in it, in hexadecimal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrived:
    """Something that arrived."""

    attributes: Mapping[str, Any]
    """What it says of itself."""
    resource: Mapping[str, Any]
    """What sent it."""
    scope: str
    """Which instrumentation made it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span(Arrived):
    """A span that arrived."""

    name: str
    """Its name."""
    ids: Ids
    """Which one it is."""
    parent: Ids | None
    """Which one its parent is; None for a root."""
    links: tuple[Ids, ...]
    """Which ones it links to."""
    is_error: bool
    """Whether its status is ERROR."""
    kind: str
    """``INTERNAL``, ``SERVER`` or ``CLIENT``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point(Arrived):
    """A data point of a metric that arrived."""

    metric: str
    """The name of the metric."""
    unit: str
    """Its unit."""
    kind: str
    """``histogram``, ``sum`` or ``gauge``."""
    value: float
    """Its value; of a histogram, how many values it counts."""
    bounds: tuple[float, ...]
    """The bounds of a histogram's buckets."""
    exemplars: tuple[Ids, ...]
    """The spans that its exemplars are of."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log:
    """A log record that arrived."""

    body: str
    """Its text."""
    ids: Ids
    """The span in whose context it was made."""
    attributes: Mapping[str, Any]
    """What it says of itself."""


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Return the spans of a request."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    ids=(span.trace_id.hex(), span.span_id.hex()),
                    parent=(span.trace_id.hex(), span.parent_span_id.hex()) if span.parent_span_id else None,
                    attributes=_dict(span.attributes),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    resource=_dict(resource.resource.attributes),
                    scope=scope.scope.name,
                )


def points_of(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """Return the data points of a request."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or ""
                for point in getattr(metric, kind).data_points:
                    is_histogram = isinstance(point, metrics_pb2.HistogramDataPoint)
                    yield Point(
                        metric=metric.name,
                        unit=metric.unit,
                        kind=kind,
                        attributes=_dict(point.attributes),
                        value=point.count if is_histogram else getattr(point, point.WhichOneof("value") or "as_double"),
                        bounds=tuple(point.explicit_bounds) if is_histogram else (),
                        exemplars=tuple((found.trace_id.hex(), found.span_id.hex()) for found in point.exemplars),
                        resource=_dict(resource.resource.attributes),
                        scope=scope.scope.name,
                    )


def logs_of(request: ExportLogsServiceRequest) -> Iterator[Log]:
    """Return the log records of a request."""
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Log(
                    body=record.body.string_value,
                    ids=(record.trace_id.hex(), record.span_id.hex()),
                    attributes=_dict(record.attributes),
                )


def _dict(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}
