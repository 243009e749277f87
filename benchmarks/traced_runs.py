"""What following runs with OpenTelemetry costs: against the same runs that nobody follows."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from benchmarks.figures import Figure
from benchmarks.sites import site_of
from benchmarks.timing import compare

CHECKS = 20
"""How many checks run at once."""


class Discarding(SpanExporter):
    """Send spans nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures without an SDK, with one that samples nothing, and with one that exports."""
    with site_of(CHECKS, None):
        for name, provider in (("no SDK", None), ("sampler off", _off()), ("batch export", _exporting())):
            yield compare(
                f"{CHECKS} runs, OpenTelemetry, {name}",
                _followed(provider),
                f"{CHECKS} runs that nobody follows",
                _run,
            )
            if provider is not None:
                provider.shutdown()


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
    from health_check.runner import observers
    from health_check_opentelemetry import SpanObserver

    observer = SpanObserver(provider)

    def run() -> None:
        observers.register_observer(observer)
        with contextlib.ExitStack() as stack:
            stack.callback(observers.unregister_observer, observer)
            _run()

    return run
