"""The histogram of durations."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.conf import DEFAULT_DURATION_BUCKETS
from health_check.monitor import runtime
from health_check_opentelemetry import SpanObserver
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import MovableClock, SharedStore, Worker, defined
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.recording import Metrics, Spans, following, ids, meter_provider, points, recording_spans

DURATION = "health_check.check.duration"

Followed = tuple[Spans, Metrics]


def collected(metrics: Metrics) -> dict[str, HistogramDataPoint]:
    """Return what was recorded of each check, whose runs have all come out alike; exemplars are there once."""
    found = points(metrics.collect()[DURATION]).values()
    return {str((p.attributes or {})["health_check.name"]): p for p in found if isinstance(p, HistogramDataPoint)}


def ids_of(point: HistogramDataPoint) -> list[tuple[int | None, int | None]]:
    """Return the ids of the traces and spans of the exemplars."""
    return [(exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars]


@pytest.mark.usefixtures("anywhere")
def test_histogram__of_all_runs(followed: Followed, mount_checks: Mount) -> None:
    """Each run is recorded in seconds, by check and state, and by what went wrong; exemplars lead to the spans."""
    spans, metrics = followed
    mount_checks(Fine, AsyncFine, Shaky, Broken)
    taken = {reading.label: reading.time_taken for reading in runtime.read(force=True).readings}
    found = collected(metrics)
    assert found.keys() == taken.keys()
    metric = metrics.collect()[DURATION]
    assert (metric.unit, type(metric.data)) == ("s", Histogram)
    error_types = {"Broken": "ServiceUnavailable", "Shaky": "ServiceWarning"}
    states = {"Fine": "ok", "AsyncFine": "ok", "Shaky": "warning", "Broken": "error"}
    for label, state in states.items():
        one = found[label]
        expected = {"health_check.name": label, "health_check.state": state}
        if label in error_types:
            expected["error.type"] = f"health_check.exceptions.{error_types[label]}"
        assert dict(one.attributes or {}) == expected
        assert (one.count, one.sum) == (1, taken[label])
        assert tuple(one.explicit_bounds) == DEFAULT_DURATION_BUCKETS
        assert ids_of(one) == [ids(spans.of_check(label))]


def test_histogram__counts_runs_not_readings(threads: None, followed: Followed, mount_checks: Mount) -> None:
    """Readings of fresh records, by collections say, are no runs."""
    _, metrics = followed
    mount_checks(Fine)
    for _ in range(3):
        runtime.read()
        assert collected(metrics)["Fine"].count == 1
    runtime.read(force=True)
    assert collected(metrics)["Fine"].count == 2


def test_histogram__of_a_hung_check(
    settings: Settings, followed: Followed, mount_checks: Mount, hanging: type[HealthCheck]
) -> None:
    """A run that timed out is recorded with the time it had, and an exemplar."""
    spans, metrics = followed
    settings.HEALTH_CHECK = THREADS
    mount_checks(hanging)
    runtime.read()
    found = collected(metrics)["Hanging"]
    assert (found.attributes or {})["error.type"] == "timeout"
    assert found.sum == pytest.approx(0.55)
    assert ids_of(found) == [ids(spans.of_check("Hanging"))]


def test_histogram__buckets_of_the_setting(settings: Settings, followed: Followed, mount_checks: Mount) -> None:
    """The buckets are those of Prometheus' histogram, as the setting has them."""
    _, metrics = followed
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [0.1, 1, 10]}
    mount_checks(Fine)
    runtime.read()
    assert tuple(collected(metrics)["Fine"].explicit_bounds) == (0.1, 1.0, 10.0)


@pytest.mark.parametrize("traces", ["none", "failures"])
def test_histogram__without_spans(settings: Settings, followed: Followed, mount_checks: Mount, traces: str) -> None:
    """Runs are counted whether or not they are traced; an exemplar is there where a span is."""
    spans, metrics = followed
    settings.HEALTH_CHECK = {**THREADS, "TRACES": traces}
    mount_checks(Fine, Broken)
    runtime.read()
    found = collected(metrics)
    assert (found["Fine"].count, found["Broken"].count) == (1, 1)
    assert ids_of(found["Broken"]) == ([] if traces == "none" else [ids(spans.of_check("Broken"))])


@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF], ids=["no SDK for traces", "unsampled"])
def test_histogram__no_exemplar_without_a_trace(mount_checks: Mount, sampler: Sampler | None) -> None:
    """Where runs leave no trace they are recorded, but have no exemplars: what is not sampled cannot be found."""
    with meter_provider() as (provider, metrics):
        alone = following(SpanObserver(meter_provider=provider))
        with alone if sampler is None else recording_spans(sampler, metrics=provider):
            mount_checks(Fine)
            runtime.read()
            [found] = collected(metrics).values()
    assert (found.count, ids_of(found)) == (1, [])


@pytest.mark.usefixtures("threads")
def test_histogram__only_of_the_process_that_ran_the_check() -> None:
    """A process that shows what another one ran records nothing."""
    clock = MovableClock()
    store = SharedStore(clock)
    definition = defined(lambda check: None)
    runner, reader = Worker(clock, lambda: store), Worker(clock, lambda: store)
    try:
        with meter_provider() as (provider, metrics), following(SpanObserver(meter_provider=provider)):
            runner.read(definition)
            reader.read(definition)
            assert collected(metrics)[definition.label].count == 1
    finally:
        runner.close()
        reader.close()
