"""The exemplars of runs: the ids of their spans, where somebody will find those."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NoOpTracerProvider, format_span_id, format_trace_id
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.runner import observers
from health_check.runner.observers import Observer
from health_check_opentelemetry import SpanObserver
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine

Trace = Callable[[Sampler], InMemorySpanExporter]


@pytest.fixture(params=[0, 4], ids=["here", "threads"], autouse=True)
def _site(request: pytest.FixtureRequest, settings: Settings, mount_checks: Mount) -> None:
    """A site with some checks, which run in the calling thread, or on the runner's."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": request.param, "MAX_AGE": 60}
    mount_checks(Fine, AsyncFine, Broken)


@pytest.fixture
def follow() -> Iterator[Callable[[Observer], None]]:
    """A function that has an observer follow the runs."""
    added: list[Observer] = []

    def register(observer: Observer) -> None:
        added.append(observer)
        observers.register_observer(observer)

    yield register
    for observer in added:
        observers.unregister_observer(observer)


@pytest.fixture
def trace(follow: Callable[[Observer], None]) -> Iterator[Trace]:
    """A function that has runs traced as a sampler says, and returns where the spans are."""
    providers: list[TracerProvider] = []

    def set_up(sampler: Sampler) -> InMemorySpanExporter:
        providers.append(TracerProvider(sampler, shutdown_on_exit=False))
        memory = InMemorySpanExporter()
        providers[-1].add_span_processor(SimpleSpanProcessor(memory))
        follow(SpanObserver(providers[-1]))
        return memory

    yield set_up
    for provider in providers:
        provider.shutdown()


def exemplars() -> dict[str, dict[str, str]]:
    """Return what finds the last run of each check elsewhere."""
    readings = runtime.read().readings
    return {reading.label: dict(reading.record.result.exemplar) for reading in readings if reading.record}


def ids(span: ReadableSpan) -> dict[str, str]:
    """Return the ids of a span as the W3C's trace context writes them."""
    context = span.get_span_context()
    assert context is not None
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def test_exemplar__of_a_sampled_span(trace: Trace) -> None:
    """The exemplar of each run has the ids of its span, in lower-case hexadecimal digits, 32 and 16."""
    memory = trace(ALWAYS_ON)
    found = exemplars()
    spans = {
        str(span.attributes["health_check.name"]): ids(span)
        for span in memory.get_finished_spans()
        if span.attributes and "health_check.name" in span.attributes
    }
    assert found == spans
    assert found.keys() == {"Fine", "AsyncFine", "Broken"}
    for labels in found.values():
        assert re.fullmatch("[0-9a-f]{32}", labels["trace_id"])
        assert re.fullmatch("[0-9a-f]{16}", labels["span_id"])


def test_exemplar__on_the_page(trace: Trace, client: Client) -> None:
    """The page has it in the bucket that the run was counted in."""
    memory = trace(ALWAYS_ON)
    page = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).content.decode()
    shown = re.findall(r'duration_seconds_bucket\{check="(\w+)".*# \{span_id="(\w+)",trace_id="(\w+)"\}', page)
    assert sorted(check for check, _, _ in shown) == ["AsyncFine", "Broken", "Fine"]
    finished = [ids(span) for span in memory.get_finished_spans()]
    assert all({"trace_id": trace_id, "span_id": span_id} in finished for _, span_id, trace_id in shown)


def test_exemplar__not_sampled(trace: Trace) -> None:
    """A trace that nobody keeps is no example: its ids would lead nowhere."""
    trace(ALWAYS_OFF)
    assert exemplars() == {"Fine": {}, "AsyncFine": {}, "Broken": {}}


def test_exemplar__without_an_sdk(follow: Callable[[Observer], None]) -> None:
    """Without an SDK there are no ids."""
    follow(SpanObserver(NoOpTracerProvider()))
    assert exemplars() == {"Fine": {}, "AsyncFine": {}, "Broken": {}}


def test_exemplar__traces_turned_off(trace: Trace, settings: Settings) -> None:
    """With ``TRACES`` turned off there are none either."""
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "TRACES": "none"}
    trace(ALWAYS_ON)
    assert exemplars() == {"Fine": {}, "AsyncFine": {}, "Broken": {}}
