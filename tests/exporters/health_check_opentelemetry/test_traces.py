"""``HEALTH_CHECK["TRACES"]``: which rounds leave spans, their own and those of what checks call."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, ParentBasedTraceIdRatio, Sampler, TraceIdRatioBased
from opentelemetry.trace import StatusCode
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor import runtime
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import Held, eventually
from tests.support.calling import CALL, Client, calling, working
from tests.support.recording import ROUND, Spans, attributes, is_child, labels, orphans, recording_spans

DOWN = ServiceUnavailable("down")

SAMPLERS = {
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_traceidratio": ParentBasedTraceIdRatio(1.0),
    "always_on": ALWAYS_ON,
    "traceidratio": TraceIdRatioBased(1.0),
}
"""Samplers that sample all, by the names that ``OTEL_TRACES_SAMPLER`` has for them."""

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)

Choose = Callable[[str], None]


@pytest.fixture(params=[0, 4], ids=["here", "threads"])
def choose(request: pytest.FixtureRequest, settings: Settings) -> Choose:
    """A function that sets ``TRACES``, with checks in the calling thread, or on the runner's."""

    def set_traces(traces: str) -> None:
        settings.HEALTH_CHECK = {**THREADS, "TRACES": traces, "MAX_CONCURRENCY": request.param}

    return set_traces


@pytest.fixture
def failures(choose: Choose) -> None:
    """``TRACES`` is ``"failures"``."""
    choose("failures")


def run() -> dict[str, str]:
    """Run all checks, and return the state of each."""
    return {reading.label: reading.state.value for reading in runtime.read(force=True).readings}


@every_sampler
def test_failures__healthy_site_leaves_nothing(failures: None, mount_checks: Mount, sampler: Sampler) -> None:
    """While all is in order there are no spans: not ours, not of calls, and no sampled ones where those arrive."""
    with recording_spans(sampler) as spans:
        client = Client(spans)
        mount_checks(calling(client, "Sync"), calling(client, "Async", asynchronous=True))
        for _ in range(3):
            assert run() == {"Sync": "ok", "Async": "ok"}
        assert spans.names == []
    assert len(client.heard) == 6
    heeding = sampler in (SAMPLERS["parentbased_always_on"], SAMPLERS["parentbased_traceidratio"])
    for traceparent in client.heard:
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00" if heeding else "", traceparent)


@every_sampler
def test_failures__spans_that_checks_make_themselves_are_no_orphans(
    failures: None, mount_checks: Mount, sampler: Sampler
) -> None:
    """Where a sampler heeds no parent, a check's own spans cannot be kept from it; they are roots then."""
    with recording_spans(sampler) as spans:
        mount_checks(working(spans, "Working"))
        run()
        assert spans.names in ([], ["work of Working"])
        assert orphans(spans.finished) == []


def test_failures__first_ones_are_written_afterwards(failures: None, spans: Spans, mount_checks: Mount) -> None:
    """The round in which checks fail first has all its own spans, with their real times, and none of calls."""
    client = Client(spans)
    states = {"Fails": "error", "FailsAsync": "error", "Fine": "ok", "FineAsync": "ok"}
    outcomes = {"error": [None, DOWN], "ok": []}
    checks = [
        calling(client, name, *outcomes[state], asynchronous=name.endswith("Async")) for name, state in states.items()
    ]
    mount_checks(*checks)
    run()
    assert spans.names == []
    assert run() == states
    assert spans.names == [*(f"health_check.check {name}" for name in states), ROUND]
    root = spans.named(ROUND)
    assert (root.parent, attributes(root)["health_check.trigger"]) == (None, "request")
    assert attributes(root)["health_check.state"] == "error"
    for reading in runtime.read().readings:
        assert reading.record is not None
        result, span = reading.record.result, spans.of_check(reading.label)
        assert is_child(span, root)
        assert span.start_time == pytest.approx(result.started * 1e9, abs=1e3)
        assert span.end_time == pytest.approx(result.finished * 1e9, abs=1e3)
        assert (root.start_time or 0) <= (span.start_time or 0) <= (span.end_time or 0) <= (root.end_time or 0)
    for name in ("Fails", "FailsAsync"):
        failed = spans.of_check(name)
        assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "unavailable: down")
        assert attributes(failed)["error.type"] == "health_check.exceptions.ServiceUnavailable"
        assert exemplar_of(name) == labels(failed)
    assert not any(client.sampled)
    assert exemplar_of("Fine") in ({}, labels(spans.of_check("Fine")))  # it may have ended before anything was wrong


def exemplar_of(label: str) -> dict[str, str]:
    """Return the exemplar of the last run of a check."""
    [found] = [reading.record for reading in runtime.read().readings if reading.label == label]
    assert found is not None
    return dict(found.result.exemplar)


@pytest.mark.parametrize("problem", [DOWN, ServiceWarning("soon"), ZeroDivisionError()], ids=lambda p: type(p).__name__)
def test_failures__next_round_is_traced_in_full(
    failures: None, spans: Spans, mount_checks: Mount, problem: Exception
) -> None:
    """After a round with something that was not in order, a warning say, calls are traced, and heard of as sampled."""
    client = Client(spans)
    mount_checks(calling(client, "Fails", problem), calling(client, "Fine"))
    run()
    assert CALL not in spans.names
    spans.clear()
    client.heard.clear()
    run()
    calls = [span for span in spans.finished if span.name == CALL]
    assert len(calls) == 2
    for label in ("Fails", "Fine"):
        assert [call for call in calls if is_child(call, spans.of_check(label))]
    assert orphans(spans.finished) == []
    assert client.sampled == [True, True]
    assert exemplar_of("Fine") == labels(spans.of_check("Fine"))


def test_failures__silent_after_one_round_in_order(failures: None, spans: Spans, mount_checks: Mount) -> None:
    """The round in which all is in order again is traced in full, the one after it is not, and the next failure is."""
    client = Client(spans)
    mount_checks(calling(client, "Fails", DOWN, None, None, DOWN), calling(client, "Fine"))
    traced = []
    for _ in range(4):
        run()
        traced.append((spans.names.count(ROUND), spans.names.count(CALL)))
        assert orphans(spans.finished) == []
        spans.clear()
    assert traced == [(1, 0), (1, 2), (0, 0), (1, 0)]


def test_failures__hung_check(
    settings: Settings, spans: Spans, mount_checks: Mount, held: Held, hanging: type[HealthCheck]
) -> None:
    """A check that hangs is written at its deadline; it counts as failed until a run of it is in order."""
    settings.HEALTH_CHECK = {**THREADS, "TRACES": "failures"}
    mount_checks(hanging, calling(Client(spans), "Fine"))
    assert run() == {"Hanging": "error", "Fine": "ok"}
    held.let_go.set()
    eventually(lambda: any("Hanging" in span.name for span in spans.finished))
    span = spans.of_check("Hanging")
    assert attributes(span)["error.type"] == "timeout"
    assert is_child(span, spans.named(ROUND))
    assert is_child(spans.of_check("Fine"), spans.named(ROUND))
    assert exemplar_of("Hanging") == labels(span)
    spans.clear()
    eventually(lambda: run()["Hanging"] == "ok")
    [full] = [span for span in spans.finished if span.name == "health_check.check Hanging"]
    assert attributes(full)["health_check.state"] == "ok"
    assert orphans(spans.finished) == []
    spans.clear()
    assert run() == {"Hanging": "ok", "Fine": "ok"}
    assert spans.names == []


@every_sampler
@pytest.mark.parametrize("traces", ["none", "all"])
def test_traces__whatever_comes_of_it(choose: Choose, mount_checks: Mount, sampler: Sampler, traces: str) -> None:
    """However checks are, nothing is traced, and records have no exemplars; or every round, with its calls."""
    choose(traces)
    with recording_spans(sampler) as spans:
        client = Client(spans)
        mount_checks(calling(client, "Fails", DOWN), calling(client, "Async", asynchronous=True))
        for _ in range(2):
            spans.clear()
            assert run() == {"Fails": "error", "Async": "ok"}
            own = [*(f"health_check.check {name}" for name in ("Async", "Fails")), ROUND]
            assert spans.names == ([CALL, CALL, *own] if traces == "all" else [])
            assert orphans(spans.finished) == []
        assert exemplar_of("Fails") == (labels(spans.of_check("Fails")) if traces == "all" else {})
    assert client.sampled == [traces == "all"] * 4
