"""What a private SDK records of the runs of a test."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Tracer, format_span_id, format_trace_id

from health_check.runner import observers
from health_check.runner.observers import Observer
from health_check_opentelemetry import SpanObserver
from health_check_opentelemetry.gauges import observe
from health_check_opentelemetry.scope import SCOPE

ROUND = "health_check.run"
CHECK = "health_check.check"

Point = NumberDataPoint | HistogramDataPoint


@dataclasses.dataclass(frozen=True)
class Spans:
    """The spans."""

    provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def tracer(self) -> Tracer:
        """A tracer for the checks' own work."""
        return self.provider.get_tracer("tests")

    @property
    def finished(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended, in that order."""
        return self.exporter.get_finished_spans()

    @property
    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(span.name for span in self.finished)

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        [span] = [span for span in self.finished if span.name == name]
        return span

    def of_check(self, label: str) -> ReadableSpan:
        """Return the only span of a run of this check."""
        return self.named(f"{CHECK} {label}")

    def clear(self) -> None:
        """Forget them."""
        self.exporter.clear()


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The metrics."""

    reader: InMemoryMetricReader

    def collect(self) -> dict[str, Metric]:
        """Collect ours, by name."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: metric for scope in scopes if scope.scope.name == SCOPE for metric in scope.metrics}


@contextlib.contextmanager
def an_sdk(sampler: Sampler | None = None) -> Iterator[Spans]:
    """Yield an SDK of the test's own, which follows no runs.

    Args:
        sampler: Its sampler; default the SDK's default one.
    """
    provider, exporter = TracerProvider(sampler=sampler, shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        yield Spans(provider, exporter)
    finally:
        provider.shutdown()


@contextlib.contextmanager
def recording_spans(sampler: Sampler | None = None, *, metrics: api.MeterProvider | None = None) -> Iterator[Spans]:
    """Have runs followed by an SDK of the test's own.

    Args:
        sampler: Its sampler; default the SDK's default one.
        metrics: What records how long they take; default the global one, which does nothing.
    """
    with an_sdk(sampler) as spans, following(SpanObserver(spans.provider, metrics)):
        yield spans


@contextlib.contextmanager
def following(observer: Observer) -> Iterator[None]:
    """Have an observer follow all runs meanwhile."""
    observers.register_observer(observer)
    try:
        yield
    finally:
        observers.unregister_observer(observer)


@contextlib.contextmanager
def meter_provider(*, gauges: bool = False) -> Iterator[tuple[MeterProvider, Metrics]]:
    """Yield a meter provider, and what it records.

    Args:
        gauges: Whether it observes the records, too, which runs checks whenever it is asked.
    """
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    if gauges:
        observe(provider)
    try:
        yield provider, Metrics(reader)
    finally:
        provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Tell whether a span is a child of another."""
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == ids(parent)


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Return the ids of the trace and of the span."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def labels(span: ReadableSpan) -> dict[str, str]:
    """Return the ids as exemplars have them."""
    trace_id, span_id = ids(span)
    return {"trace_id": format_trace_id(trace_id), "span_id": format_span_id(span_id)}


def orphans(spans: Iterable[ReadableSpan]) -> list[str]:
    """Return the names of spans whose parent is not among them."""
    spans = tuple(spans)
    known = {ids(span) for span in spans}
    return [span.name for span in spans if span.parent and (span.parent.trace_id, span.parent.span_id) not in known]


def points(metric: Metric) -> dict[tuple[str, ...], Point]:
    """Return the data points of a metric, by the values of their attributes in the order of their names."""
    found: dict[tuple[str, ...], Point] = {}
    for point in metric.data.data_points:
        assert isinstance(point, NumberDataPoint | HistogramDataPoint)
        found[tuple(str(value) for _, value in sorted((point.attributes or {}).items()))] = point
    return found
