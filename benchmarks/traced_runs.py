"""What following runs with OpenTelemetry costs: against the same runs that nobody follows."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from benchmarks.figures import Figure
from benchmarks.sites import site_of
from benchmarks.timing import Local, compare
from health_check.runner import observers
from health_check.runner.observers import Observer
from health_check_opentelemetry import SpanObserver

CHECKS = 20
"""How many checks run at once."""


class Discarding(SpanExporter):
    """Send spans nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


MOST_MICROSECONDS = 5.0
"""What a run may cost more where the app is installed and no SDK is set up."""

MOST_TIMES_OFF = 1.3
"""What runs may cost, against those that nobody follows, where a sampler samples nothing."""

CALLS = 5000
"""How many rounds are followed at once, where nothing runs in them."""

ROUNDS = 21
"""How often."""


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures without an SDK, with one that samples nothing, and with one that exports.

    What counts is processor time, as runs wait for threads, and that for whatever else the machine does.
    """
    with site_of(CHECKS, None):
        costs = [(_round(SpanObserver()) - _round(None)) * 1e6 for _ in range(ROUNDS)]
        yield Figure.of("one run more, OpenTelemetry, no SDK", costs, "µs", target=MOST_MICROSECONDS)
        exporting = ("batch export", _exporting(), None)
        for name, provider, target in (("no SDK", None, None), ("sampler off", _off(), MOST_TIMES_OFF), exporting):
            yield compare(
                f"{CHECKS} runs, OpenTelemetry, {name}",
                Local(_followed(provider), time.process_time),
                f"{CHECKS} runs that nobody follows",
                Local(_run, time.process_time),
                target=target,
            )
            if provider is not None:
                provider.shutdown()


def _round(observer: Observer | None) -> float:
    """Return what it costs to follow a round with one run in which nothing happens, in seconds of this thread."""
    from health_check.monitor import runtime

    reading = runtime.read().readings[0]
    definition, result = reading.definition, reading.record.result if reading.record else None

    def follow() -> None:
        round_ = observers.Observers()
        run = round_.run(definition)
        with run.attach():
            pass
        if result is not None:
            run.end(result)
        run.exemplar()
        round_.end()

    with contextlib.ExitStack() as stack:
        if observer is not None:
            observers.register_observer(observer)
            stack.callback(observers.unregister_observer, observer)
        return Local(follow, time.thread_time).seconds(CALLS)


def _off() -> TracerProvider:
    return TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)


def _exporting() -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Discarding()))
    return provider


def _run() -> object:
    from health_check.monitor import runtime

    return runtime.read(force=True)


def _followed(provider: TracerProvider | None) -> Callable[[], object]:
    observer = SpanObserver(provider)

    def run() -> None:
        observers.register_observer(observer)
        with contextlib.ExitStack() as stack:
            stack.callback(observers.unregister_observer, observer)
            _run()

    return run
