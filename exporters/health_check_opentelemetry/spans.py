"""The spans: a root span for each round of runs, with a child for each run, in which the check executes."""

from __future__ import annotations

import random
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

NANOSECONDS = 1_000_000_000
"""What a span's times count in."""


class RoundSpan:
    """The span of a round, and those of its runs.

    Args:
        tracer: Makes spans.
        trigger: What had the checks run.
        started: When the round began, in nanoseconds of Unix time; default now.
    """

    def __init__(self, tracer: Tracer, trigger: Trigger, started: int | None = None) -> None:
        self._tracer = tracer
        # A root of its own: the request or scrape that met the stale record is not the cause of the run.
        attributes: dict[str, AttributeValue] = {"health_check.trigger": trigger.value}
        self._span = tracer.start_span(ROUND_SPAN, Context(), attributes=attributes, start_time=started)
        self._context = trace.set_span_in_context(self._span, Context())
        self._states: list[State] = []

    def run(self, definition: Definition, started: int | None = None) -> Span:
        """Return the span of a run, started now or then."""
        attributes: dict[str, AttributeValue] = {
            "health_check.name": definition.label,
            "health_check.backend": definition.backend,
            "health_check.critical": definition.critical,
            "code.function.name": f"{definition.backend}.{definition.method_name}",
        }
        name = f"{CHECK_SPAN} {definition.label}"
        return self._tracer.start_span(name, self._context, attributes=attributes, start_time=started)

    def link_current(self) -> None:
        """Link the span of the caller, of a request say, to this one."""
        current, own = trace.get_current_span(), self._span.get_span_context()
        if current.is_recording() and own.is_valid and own.trace_flags.sampled:
            current.add_link(own)

    def ended(self, span: Span, result: Result) -> None:
        """End the span of a run with its outcome, on any thread."""
        self._states.append(result.state)
        _end_span(span, result)

    def end(self, at: int | None = None) -> None:
        """End the span of the round, now or then, with the worst state and how many checks are in each.

        Samplers that look at whole traces find rounds by that in which something was wrong.
        """
        states = tuple(self._states)
        counts = {state: states.count(state) for state in WORST_FIRST}
        worst = next((state for state, count in counts.items() if count), State.OK)
        self._span.set_attribute("health_check.state", worst.value)
        for state, count in counts.items():
            self._span.set_attribute(f"health_check.checks.{state.value}", count)
        if worst is State.ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(at)


WORST_FIRST = (State.ERROR, State.WARNING, State.OK)
"""The states that runs end in."""


def _end_span(span: Span, result: Result) -> None:
    """End the span of a run with its outcome."""
    state = result.state
    span.set_attribute("health_check.state", state.value)
    span.set_attribute("health_check.status", int(state is State.OK))
    span.set_attribute("health_check.time_taken", result.time_taken)
    if state is State.ERROR:
        if result.error_type is not None:
            span.set_attribute("error.type", result.error_type)
        span.set_status(Status(StatusCode.ERROR, "; ".join(message.text for message in result.messages)))
    span.end(nanoseconds(result.finished))


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


def nanoseconds(unix_seconds: float) -> int:
    """Return a Unix time in nanoseconds."""
    return int(unix_seconds * NANOSECONDS)


def now() -> int:
    """Return the Unix time in nanoseconds."""
    return time.time_ns()
