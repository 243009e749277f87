"""The observer: follows runs with spans, as many as ``HEALTH_CHECK["TRACES"]`` says, and counts how long they take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from django.utils.functional import cached_property
from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import Span, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from health_check import __version__
from health_check.conf import settings
from health_check.extensions import Definition, Observer, RoundObserver, RunObserver, Trigger
from health_check.records import Result
from health_check_opentelemetry.scope import SCHEMA_URL, SCOPE, meter_of
from health_check_opentelemetry.spans import RoundSpan, ids_of, suppressed, untraced

DURATION = "health_check.check.duration"
"""The name of the histogram of how long the runs of this process take."""


class SpanObserver(Observer):
    """Follow all runs with spans of one tracer provider, and with a histogram of one meter provider.

    Args:
        tracer_provider: The tracer provider; default the global one, looked up at each round.
        meter_provider: The meter provider; default the global one.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._tracer: tuple[TracerProvider, Tracer] | None = None

    def round(self, trigger: Trigger, *, failing: bool) -> RoundObserver:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if is_of_the_api(provider) and is_of_the_api(self._meter_provider or metrics.get_meter_provider()):
            return RoundObserver()  # no SDK, no cost
        traces = settings.TRACES
        span = RoundSpan(self._tracer_of(provider), trigger) if traces != "none" else None
        if span is not None and (failing or traces == "all"):
            span.start()
            return _Round(self, span, None)
        return _Round(self, span, untraced(provider))

    def untraced(self) -> contextlib.AbstractContextManager[object]:
        """Return a context manager for what is no run of a check, work at the store say: none of it is traced."""
        provider = self._tracer_provider or trace.get_tracer_provider()
        if is_of_the_api(provider):
            return contextlib.nullcontext()
        return _attached(suppressed(untraced(provider)))

    def record(self, definition: Definition, result: Result, within: Context) -> None:
        """Record a run in the context of its span, from which the SDK takes an exemplar.

        Args:
            definition: The check.
            result: The outcome.
            within: The context of its span.
        """
        attributes: dict[str, AttributeValue] = {
            "health_check.name": definition.label,
            "health_check.state": result.state.value,
        }
        if result.error_type is not None:
            attributes["error.type"] = result.error_type
        self._histogram.record(max(0.0, result.time_taken), attributes, within)

    @cached_property
    def _histogram(self) -> Histogram:
        return meter_of(self._meter_provider).create_histogram(
            DURATION,
            unit="s",
            description="How long the runs of a check took.",
            explicit_bucket_boundaries_advisory=settings.DURATION_BUCKETS,
        )

    def _tracer_of(self, provider: TracerProvider) -> Tracer:
        """Return our tracer; the SDK changes the filters of warnings whenever it is asked for one."""
        if self._tracer is None or self._tracer[0] is not provider:
            self._tracer = (provider, provider.get_tracer(SCOPE, __version__, SCHEMA_URL))
        return self._tracer[1]


def is_of_the_api(provider: TracerProvider | MeterProvider) -> bool:
    """Return whether a provider does nothing: the API has no other ones."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


class _Round(RoundObserver):
    """A round that is traced as it happens, or whose spans are written once a run has failed, or that has none.

    Args:
        observer: Records its runs.
        span: Its span; None if it has none.
        nowhere: The context in which runs that are not traced execute; None if they are traced as they happen.
    """

    def __init__(self, observer: SpanObserver, span: RoundSpan | None, nowhere: Context | None) -> None:
        self._observer = observer
        self._span = span
        self._nowhere = nowhere

    def run(self, definition: Definition) -> RunObserver:
        return _Run(definition, self._observer, self._span, self._nowhere)

    def waited(self) -> None:
        if self._span is not None:
            self._span.link_current()

    def end(self) -> None:
        if self._span is not None:
            self._span.end()


class _Run(RunObserver):
    def __init__(
        self, definition: Definition, observer: SpanObserver, round_: RoundSpan | None, nowhere: Context | None
    ) -> None:
        self._definition = definition
        self._observer = observer
        self._round = round_
        self._span = round_.run(definition) if round_ is not None and nowhere is None else None
        self._context = nowhere if nowhere is not None else _with_span(self._span)

    def attach(self) -> contextlib.AbstractContextManager[object]:
        return _attached(self._context)

    def exemplar(self) -> Mapping[str, str]:
        return ids_of(self._span) if self._span is not None else {}

    def end(self, result: Result) -> None:
        if self._round is not None:
            if self._span is not None:
                self._round.ended(self._span, result)
            elif (span := self._round.write(self._definition, result)) is not None:
                self._span, self._context = span, _with_span(span)
        self._observer.record(self._definition, result, self._context)


def _with_span(span: Span | None) -> Context:
    return Context() if span is None else trace.set_span_in_context(span, Context())


@contextlib.contextmanager
def _attached(found: Context) -> Iterator[None]:
    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)
