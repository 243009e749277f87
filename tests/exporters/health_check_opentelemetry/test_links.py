"""The links from requests to the rounds of runs that they waited for."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest
from django.test import AsyncClient, Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from pytest_django import Settings

from health_check.monitor import runtime
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import Held
from tests.support.checks import AsyncFine, Broken, Fine
from tests.support.recording import ROUND, Spans, an_sdk, attributes, ids, recording_spans

REQUEST = "request"


def links_of(span: ReadableSpan) -> list[tuple[int, int]]:
    """Return what a span links to: ids of traces and spans."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def ask(spans: Spans, url: str = "/health/", *, status: int = 200) -> None:
    """Ask as an instrumented server would have it, in a span."""
    with spans.tracer.start_as_current_span(REQUEST) as span:
        assert Client().get(url).status_code == status
        assert trace.get_current_span() is span


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("url", ["/health/", "/metrics"])
def test_link__of_a_request(spans: Spans, mount_checks: Mount, url: str) -> None:
    """The span of the request that waited links to that of the round, which is a trace of its own."""
    mount_checks(Fine, AsyncFine)
    ask(spans, url)
    request, root = spans.named(REQUEST), spans.named(ROUND)
    assert links_of(request) == [ids(root)]
    assert root.parent is None
    assert ids(request)[0] != ids(root)[0]


@pytest.mark.usefixtures("threads")
def test_link__of_an_async_request(spans: Spans, mount_checks: Mount) -> None:
    """So does that of a request that waits on an event loop."""
    mount_checks(Fine, AsyncFine)

    async def ask_async() -> None:
        with spans.tracer.start_as_current_span(REQUEST):
            assert (await AsyncClient().get("/health/")).status_code == 200

    asyncio.run(ask_async())
    assert links_of(spans.named(REQUEST)) == [ids(spans.named(ROUND))]


@pytest.mark.usefixtures("threads")
def test_link__not_of_who_did_not_wait(spans: Spans, mount_checks: Mount) -> None:
    """A request that found fresh records links to nothing, and has nothing traced."""
    mount_checks(Fine)
    runtime.read()
    spans.clear()
    ask(spans)
    assert links_of(spans.named(REQUEST)) == []
    assert spans.names == [REQUEST]


@pytest.mark.usefixtures("threads")
def test_link__of_several_that_waited_for_one_round(spans: Spans, mount_checks: Mount, held: Held) -> None:
    """All who waited for a round link to it, whoever had it run."""
    mount_checks(held.check_class("Slow"), AsyncFine)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        try:
            first = pool.submit(ask, spans)
            assert held.running.wait(20)
            waiting = [pool.submit(ask, spans) for _ in range(3)]
            scrape = pool.submit(ask, spans, "/metrics")
            scrape.result()  # it waits for a while, and shows that nothing is known
        finally:
            held.let_go.set()
        for future in (first, *waiting):
            future.result()
    requests = [span for span in spans.finished if span.name == REQUEST]
    assert len(requests) == 5
    for span in requests:
        assert links_of(span) == [ids(spans.named(ROUND))]
    assert attributes(spans.named(ROUND))["health_check.trigger"] == "request"


@pytest.mark.usefixtures("threads")
def test_link__not_to_what_is_not_sampled(mount_checks: Mount) -> None:
    """There is no link where the round leaves no span that it could lead to."""
    mount_checks(Fine)
    with an_sdk() as requests, recording_spans(ALWAYS_OFF):
        ask(requests)
    assert links_of(requests.named(REQUEST)) == []


@pytest.mark.parametrize(
    ("traces", "checks", "linked"),
    [("none", [Fine, Broken], False), ("failures", [Fine], False), ("failures", [Fine, Broken], True)],
)
def test_link__to_a_round_that_is_traced(
    settings: Settings, spans: Spans, mount_checks: Mount, traces: str, checks: list[object], linked: bool
) -> None:
    """There is none to a round that is not traced; one that is since something failed has its link like any other."""
    settings.HEALTH_CHECK = {**THREADS, "TRACES": traces}
    mount_checks(*checks)
    ask(spans, status=500 if Broken in checks else 200)
    assert links_of(spans.named(REQUEST)) == ([ids(spans.named(ROUND))] if linked else [])
