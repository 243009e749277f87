"""The spans: a root span for each round of runs, with a child for each run, in which the check executes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from opentelemetry import context, trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

import health_check
from health_check.conf import settings
from health_check.definitions import Definition
from health_check.observers import Observer, RoundObserver, RunObserver
from health_check.records import Result, State

ROUND_SPAN = "health_check.run"
"""The name of a round's span."""

CHECK_SPAN = "health_check.check"
"""What the name of a run's span starts with; the label of the check follows."""


NANOSECONDS = 1_000_000_000
"""What a span's times count in."""


class SpanObserver(Observer):
    """Follow all runs with spans of one tracer provider.

    Args:
        tracer_provider: The provider; default the global one, looked up at each round.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer_provider = tracer_provider

    def round(self) -> RoundObserver:
        if settings.TRACES == "none":
            return RoundObserver()
        return _RoundSpan(trace.get_tracer(__name__, health_check.__version__, self._tracer_provider))


OBSERVER = SpanObserver()
"""The observer that the app registers."""


class _RoundSpan(RoundObserver):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        # A root of its own: the request or scrape that met the stale record is not the cause of the run.
        self._span = tracer.start_span(ROUND_SPAN, context.Context())

    def run(self, definition: Definition) -> RunObserver:
        attributes: dict[str, AttributeValue] = {
            "health_check.name": definition.label,
            "health_check.backend": definition.backend,
            "health_check.critical": definition.critical,
            "code.function.name": f"{definition.backend}.{definition.method_name}",
        }
        parent = trace.set_span_in_context(self._span, context.Context())
        return _RunSpan(self._tracer.start_span(f"{CHECK_SPAN} {definition.label}", parent, attributes=attributes))

    def end(self) -> None:
        self._span.end()


class _RunSpan(RunObserver):
    def __init__(self, span: Span) -> None:
        self._span = span

    @contextlib.contextmanager
    def attach(self) -> Iterator[None]:
        token = context.attach(trace.set_span_in_context(self._span, context.Context()))
        try:
            yield
        finally:
            context.detach(token)

    def exemplar(self) -> Mapping[str, str]:
        found = self._span.get_span_context()
        if not (found.is_valid and found.trace_flags.sampled):
            return {}
        return {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}

    def end(self, result: Result) -> None:
        state = result.state
        self._span.set_attribute("health_check.state", state.value)
        self._span.set_attribute("health_check.status", int(state is State.OK))
        self._span.set_attribute("health_check.time_taken", result.time_taken)
        if state is State.ERROR:
            if result.error_type is not None:
                self._span.set_attribute("error.type", result.error_type)
            self._span.set_status(Status(StatusCode.ERROR, "; ".join(m.text for m in result.messages)))
        self._span.end(int(result.finished * NANOSECONDS))
