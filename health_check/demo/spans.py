"""The spans of the last round of runs, as a tree for the page."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter, SpanExportResult

MOST_TRACES = 50
"""How many rounds may be under way or hang; older ones are dropped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """A span in its tree."""

    name: str
    milliseconds: float
    failed: bool
    children: tuple[Node, ...]


class LastRound(SpanExporter):
    """Keep the spans of the last round that has ended; called by the threads on which spans end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._last: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take spans that have ended."""
        with self._lock:
            for span in spans:
                trace_id = span.context.trace_id if span.context else 0
                self._traces.setdefault(trace_id, []).append(span)
                if span.parent is None:
                    self._last = self._traces.pop(trace_id)
            while len(self._traces) > MOST_TRACES:
                self._traces.popitem(last=False)
        return SpanExportResult.SUCCESS

    def tree(self) -> tuple[Node, ...]:
        """Return the round with its checks, and what they did; empty before the first."""
        with self._lock:
            spans = sorted(self._last, key=lambda span: span.start_time or 0)
        return _nodes(spans, None)


def _nodes(spans: Sequence[ReadableSpan], parent: int | None) -> tuple[Node, ...]:
    return tuple(
        Node(
            name=span.name,
            milliseconds=((span.end_time or 0) - (span.start_time or 0)) / 1e6,
            failed=not span.status.is_ok,
            children=_nodes(spans, span.context.span_id if span.context else 0),
        )
        for span in spans
        if (span.parent.span_id if span.parent else None) == parent
    )


last_round = LastRound()


def collect(*, to_console: bool) -> None:
    """Have the spans of this process collected from now on.

    Args:
        to_console: Whether to print them to standard error, too.
    """
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "health-check-demo"}))
    provider.add_span_processor(SimpleSpanProcessor(last_round))
    if to_console:
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    trace.set_tracer_provider(provider)
