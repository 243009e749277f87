"""Work at the store, which is no run of a check: it is not traced."""

from __future__ import annotations

import contextlib

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Sampler
from opentelemetry.trace import NoOpTracerProvider, TracerProvider
from pytest_django import Settings

from health_check_opentelemetry import SpanObserver
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import MovableClock, SharedStore, Worker, defined
from tests.support.calling import Client
from tests.support.recording import ROUND, Spans, an_sdk


@pytest.mark.parametrize("sampler", [DEFAULT_ON, ALWAYS_ON], ids=["heeds parents", "heeds none"])
def test_untraced__is_not_traced(sampler: Sampler) -> None:
    """Instrumentations do nothing, and what they would do is not sampled; afterwards all is as before."""
    with an_sdk(sampler) as spans:
        with spans.tracer.start_as_current_span("request"):
            with SpanObserver(spans.provider).untraced():
                assert not is_instrumentation_enabled()
                with spans.tracer.start_as_current_span("aside") as span:
                    assert span.get_span_context().trace_flags.sampled == (sampler is ALWAYS_ON)
            assert is_instrumentation_enabled()
        assert all(span.parent is None for span in spans.finished)


@pytest.mark.parametrize("provider", [None, NoOpTracerProvider()])
def test_untraced__without_an_sdk(provider: TracerProvider | None) -> None:
    """Without an SDK there is nothing to do."""
    assert isinstance(SpanObserver(provider).untraced(), contextlib.nullcontext)


class CallingStore(SharedStore):
    """A store whose client is instrumented."""

    def __init__(self, clock: MovableClock, client: Client) -> None:
        super().__init__(clock)
        self._client = client

    def _meet(self, method: str) -> None:
        super()._meet(method)
        self._client.call()


@pytest.mark.parametrize("traces", ["all", "failures", "none"])
def test_store__has_no_spans(settings: Settings, spans: Spans, traces: str) -> None:
    """Its client's calls are in no trace, whatever is traced of the runs."""
    settings.HEALTH_CHECK = {**THREADS, "TRACES": traces}
    clock = MovableClock()
    store = CallingStore(clock, client := Client(spans))
    worker = Worker(clock, lambda: store)
    definition = defined(lambda check: None)
    try:
        assert worker.read(definition).pretty_status == "OK"
        worker.store_client.call(lambda store: store.probe(), None)
    finally:
        worker.close()
    assert {"look", "publish", "probe"} <= set(store.calls)
    assert not any(client.sampled)
    assert spans.names == ([f"health_check.check {definition.label}", ROUND] if traces == "all" else [])
