"""The spans: a root span for each round of runs, with a child for each run, in which the check executes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
)
from opentelemetry.util.types import AttributeValue

from health_check.extensions import Definition, Trigger
from health_check.records import Result, State

ROUND_SPAN = "health_check.run"
"""The name of a round's span."""

CHECK_SPAN = "health_check.check"
"""What the name of a run's span starts with; the label of the check follows."""

WORST_FIRST = (State.ERROR, State.WARNING, State.OK)
"""The states that runs end in."""


class RoundSpan:
    """The span of a round, and those of its runs, on any thread.

    It begins when this is made, but is written from ``start`` on, or once a run has failed; else there are no spans.

    Args:
        tracer: Makes spans.
        trigger: What had the checks run.
    """

    def __init__(self, tracer: Tracer, trigger: Trigger) -> None:
        self._tracer = tracer
        self._trigger = trigger
        self._began = time.time_ns()
        self._span: Span | None = None
        self._lock = threading.Lock()
        self._unwritten: list[tuple[Definition, Result]] = []
        self._states: list[State] = []

    def start(self) -> None:
        """Write the spans of this round."""
        # A root of its own: the request or scrape that met the stale record is not the cause of the run.
        attributes: dict[str, AttributeValue] = {"health_check.trigger": self._trigger.value}
        span = self._tracer.start_span(ROUND_SPAN, Context(), attributes=attributes, start_time=self._began)
        self._context = trace.set_span_in_context(span, Context())
        self._span = span

    def run(self, definition: Definition, started: int | None = None) -> Span:
        """Return the span of a run, started now or then, in nanoseconds of Unix time."""
        attributes: dict[str, AttributeValue] = {
            "health_check.name": definition.label,
            "health_check.backend": definition.backend,
            "health_check.critical": definition.critical,
            "code.function.name": f"{definition.backend}.{definition.method_name}",
        }
        name = f"{CHECK_SPAN} {definition.label}"
        return self._tracer.start_span(name, self._context, attributes=attributes, start_time=started)

    def write(self, definition: Definition, result: Result) -> Span | None:
        """Write the span of a run that has ended, with its real times, or keep it for when another one fails."""
        with self._lock:
            if self._span is None and result.state is State.OK:
                self._unwritten.append((definition, result))
                return None
            if self._span is None:
                self.start()
        return self._written(definition, result)

    def link_current(self) -> None:
        """Link the span of the caller, of a request say, to this one, if there is one."""
        current = trace.get_current_span()
        own = self._span.get_span_context() if self._span is not None else trace.INVALID_SPAN_CONTEXT
        if current.is_recording() and own.is_valid and own.trace_flags.sampled:
            current.add_link(own)

    def ended(self, span: Span, result: Result) -> None:
        """End the span of a run with its outcome."""
        state = result.state
        self._states.append(state)
        span.set_attribute("health_check.state", state.value)
        span.set_attribute("health_check.status", int(state is State.OK))
        span.set_attribute("health_check.time_taken", result.time_taken)
        if state is State.ERROR:
            if result.error_type is not None:
                span.set_attribute("error.type", result.error_type)
            span.set_status(Status(StatusCode.ERROR, "; ".join(message.text for message in result.messages)))
        span.end(_nanoseconds(result.finished))

    def end(self) -> None:
        """End the span of the round, if there is one, with the worst state and how many checks are in each.

        Samplers that look at whole traces find rounds by that in which something was wrong.
        """
        if self._span is None:
            return
        for definition, result in self._unwritten:
            self._written(definition, result)
        counts = {state: self._states.count(state) for state in WORST_FIRST}
        worst = next((state for state, count in counts.items() if count), State.OK)
        self._span.set_attribute("health_check.state", worst.value)
        for state, count in counts.items():
            self._span.set_attribute(f"health_check.checks.{state.value}", count)
        if worst is State.ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def _written(self, definition: Definition, result: Result) -> Span:
        span = self.run(definition, _nanoseconds(result.started))
        self.ended(span, result)
        return span


def ids_of(span: Span) -> Mapping[str, str]:
    """Return the ids of a span that is sampled, as labels of an exemplar; none of another one."""
    found = span.get_span_context()
    if not (found.is_valid and found.trace_flags.sampled):
        return {}
    return {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}


def untraced(provider: TracerProvider) -> Context:
    """Return a context in which nothing is traced: neither runs nor what they call.

    Most samplers follow the parent, and called services receive its decision. Where the provider's sampler does not
    follow it, instrumentation is suppressed instead, and the context has no parent.
    """
    parent = SpanContext(
        trace_id=random.getrandbits(128) or 1,
        span_id=random.getrandbits(64) or 1,
        is_remote=False,
    )
    found = trace.set_span_in_context(NonRecordingSpan(parent), Context())
    return found if _heeds_parent(provider, found, parent) else suppressed(Context())


def suppressed(found: Context) -> Context:
    """Return a context in which instrumentations do nothing."""
    for key in SUPPRESSING:
        found = context.set_value(key, True, found)
    return found


SUPPRESSING = (
    "suppress_instrumentation",
    getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)
"""What instrumentations look for in the context, older and newer ones; the API has no public name for it."""


def _heeds_parent(provider: TracerProvider, parent_context: Context, parent: SpanContext) -> bool:
    sampler = getattr(provider, "sampler", None)
    if sampler is None:
        return True
    kinds = (SpanKind.INTERNAL, SpanKind.CLIENT)
    results = [sampler.should_sample(parent_context, parent.trace_id, CHECK_SPAN, kind) for kind in kinds]
    return not any(result.decision.is_sampled() for result in results)


def _nanoseconds(unix_seconds: float) -> int:
    return int(unix_seconds * 1e9)
