"""The observer: follows runs with spans, as many as ``HEALTH_CHECK["TRACES"]`` says, and counts how long they take."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, Tracer, TracerProvider

import health_check
from health_check.conf import settings
from health_check.extensions import Definition, Observer, RoundObserver, RunObserver, Trigger
from health_check.records import Result, State
from health_check_opentelemetry.histogram import Durations
from health_check_opentelemetry.schema import SCHEMA_URL
from health_check_opentelemetry.spans import RoundSpan, ids_of, nanoseconds, now, suppressed, untraced

SCOPE = "health_check_opentelemetry"
"""The instrumentation scope of our spans and metrics."""

Record = Callable[[Definition, Result, Context], None]


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
        self._durations = Durations(SCOPE, meter_provider)
        self._tracer: tuple[TracerProvider, Tracer] | None = None

    def round(self, trigger: Trigger, *, failing: bool) -> RoundObserver:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if is_of_the_api(provider) and is_of_the_api(self._meter_provider or metrics.get_meter_provider()):
            return RoundObserver()  # no SDK, no cost
        tracer, record = self._tracer_of(provider), self._durations.record
        if settings.TRACES == "all" or (settings.TRACES == "failures" and failing):
            return _Traced(RoundSpan(tracer, trigger), record)
        afterwards = _Afterwards(tracer, trigger) if settings.TRACES == "failures" else None
        return _Untraced(untraced(provider), afterwards, record)

    def untraced(self) -> contextlib.AbstractContextManager[object]:
        """Return a context manager for what is no run of a check, work at the store say: none of it is traced."""
        provider = self._tracer_provider or trace.get_tracer_provider()
        if is_of_the_api(provider):
            return contextlib.nullcontext()
        return _attached(suppressed(untraced(provider)))

    def _tracer_of(self, provider: TracerProvider) -> Tracer:
        """Return our tracer; the SDK changes the filters of warnings whenever it is asked for one."""
        if self._tracer is None or self._tracer[0] is not provider:
            self._tracer = (provider, provider.get_tracer(SCOPE, health_check.__version__, SCHEMA_URL))
        return self._tracer[1]


def is_of_the_api(provider: TracerProvider | MeterProvider) -> bool:
    """Return whether a provider does nothing: the API has no other ones."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


class _Traced(RoundObserver):
    """A round that is traced as it happens."""

    def __init__(self, span: RoundSpan, record: Record) -> None:
        self._span = span
        self._record = record

    def run(self, definition: Definition) -> RunObserver:
        return _TracedRun(definition, self._span, self._record)

    def waited(self) -> None:
        self._span.link_current()

    def end(self) -> None:
        self._span.end()


class _TracedRun(RunObserver):
    def __init__(self, definition: Definition, round_: RoundSpan, record: Record) -> None:
        self._definition = definition
        self._round = round_
        self._span = round_.run(definition)
        self._record = record
        self._context = trace.set_span_in_context(self._span, Context())

    def attach(self) -> contextlib.AbstractContextManager[object]:
        return _attached(self._context)

    def exemplar(self) -> Mapping[str, str]:
        return ids_of(self._span)

    def end(self, result: Result) -> None:
        try:
            self._record(self._definition, result, self._context)
        finally:
            self._round.ended(self._span, result)


class _Untraced(RoundObserver):
    """A round that is not traced, unless something fails; then our own spans are written with their real times."""

    def __init__(self, nowhere: Context, afterwards: _Afterwards | None, record: Record) -> None:
        self._nowhere = nowhere
        self._afterwards = afterwards
        self._record = record

    def run(self, definition: Definition) -> RunObserver:
        return _UntracedRun(definition, self._nowhere, self._afterwards, self._record)

    def waited(self) -> None:
        if self._afterwards is not None:
            self._afterwards.link_current()

    def end(self) -> None:
        if self._afterwards is not None:
            self._afterwards.end()


class _UntracedRun(RunObserver):
    def __init__(
        self, definition: Definition, nowhere: Context, afterwards: _Afterwards | None, record: Record
    ) -> None:
        self._definition = definition
        self._context = nowhere
        self._afterwards = afterwards
        self._record = record
        self._span: Span | None = None

    def attach(self) -> contextlib.AbstractContextManager[object]:
        return _attached(self._context)

    def exemplar(self) -> Mapping[str, str]:
        return ids_of(self._span) if self._span is not None else {}

    def end(self, result: Result) -> None:
        if self._afterwards is not None:
            self._span = self._afterwards.write(self._definition, result)
        if self._span is not None:
            self._context = trace.set_span_in_context(self._span, Context())
        self._record(self._definition, result, self._context)


class _Afterwards:
    """The spans of a round that are written once a run has failed: those of that run, and of the others."""

    def __init__(self, tracer: Tracer, trigger: Trigger) -> None:
        self._tracer = tracer
        self._trigger = trigger
        self._started = now()
        self._lock = threading.Lock()
        self._ended: list[tuple[Definition, Result]] = []
        self._round: RoundSpan | None = None

    def write(self, definition: Definition, result: Result) -> Span | None:
        """Write the span of a run, or keep it for when another one fails."""
        with self._lock:
            if self._round is None and result.state is State.OK:
                self._ended.append((definition, result))
                return None
            if self._round is None:
                self._round = RoundSpan(self._tracer, self._trigger, self._started)
            return _written(self._round, definition, result)

    def link_current(self) -> None:
        """Link the span of the caller to that of the round, if there is one."""
        if self._round is not None:
            self._round.link_current()

    def end(self) -> None:
        """Write what was kept, if a run has failed."""
        if self._round is None:
            return
        for definition, result in self._ended:
            _written(self._round, definition, result)
        self._round.end()


def _written(round_: RoundSpan, definition: Definition, result: Result) -> Span:
    span = round_.run(definition, nanoseconds(result.started))
    round_.ended(span, result)
    return span


@contextlib.contextmanager
def _attached(found: Context) -> Iterator[None]:
    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)
