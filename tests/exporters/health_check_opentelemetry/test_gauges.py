"""The metrics that read the records."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.urls import path
from opentelemetry.sdk.metrics.export import Gauge, Metric, Sum
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import Held, Script
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.recording import Metrics, meter_provider, points

STATUS = "health_check.check.status"
TIME_TAKEN = "health_check.check.time_taken"
ENDPOINT_STATUS = "health_check.endpoint.status"

STATES = ("ok", "warning", "error", "unknown")


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """The metrics of the site, in an SDK of the test's own."""
    with meter_provider(gauges=True) as (_, found):
        yield found


def values(metric: Metric) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by those of its attributes, in the order of their names."""
    return {key: point.value for key, point in points(metric).items()}  # type: ignore[union-attr]


@pytest.mark.usefixtures("anywhere")
def test_gauges__of_a_site(metrics: Metrics, mount: Mount) -> None:
    """They say of each check which state it is in and how long it took, and of each endpoint whether it answers 200."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine, AsyncFine, Shaky, Broken]), name="health"),
        path("ready/", HealthCheckView.as_view(checks=[Fine]), name="ready"),
    )
    found = metrics.collect()
    assert set(found) == {STATUS, TIME_TAKEN, ENDPOINT_STATUS}
    expected = {"Fine": "ok", "AsyncFine": "ok", "Shaky": "warning", "Broken": "error"}
    assert values(found[STATUS]) == {(name, state): expected[name] == state for name in expected for state in STATES}
    assert values(found[ENDPOINT_STATUS]) == {("health",): 0, ("ready",): 1}
    assert {key for (key,) in values(found[TIME_TAKEN])} == set(expected)


def test_gauges__are_what_they_say_they_are(metrics: Metrics, mount_checks: Mount) -> None:
    """Types, units and attributes are as OpenTelemetry has them: states are up-down counters, times are gauges."""
    mount_checks(Fine)
    found = metrics.collect()
    for name, unit in ((STATUS, "{check}"), (ENDPOINT_STATUS, "{endpoint}")):
        data = found[name].data
        assert isinstance(data, Sum)
        assert (found[name].unit, data.is_monotonic) == (unit, False)
    assert (found[TIME_TAKEN].unit, type(found[TIME_TAKEN].data)) == ("s", Gauge)
    assert {tuple(sorted(point.attributes or {})) for point in found[STATUS].data.data_points} == {
        ("health_check.name", "health_check.state")
    }
    assert [dict(point.attributes or {}) for point in found[ENDPOINT_STATUS].data.data_points] == [
        {"health_check.url_name": "health"}
    ]


def test_gauges__read_the_record(threads: None, metrics: Metrics, mount_checks: Mount) -> None:
    """Their times are those of the last run, whoever had it run; collecting runs nothing that is fresh."""
    script = Script()
    check = script.define().check_class
    mount_checks(check)
    [shown] = runtime.read().readings
    for _ in range(3):
        assert values(metrics.collect()[TIME_TAKEN]) == {(check.__name__,): shown.time_taken}
    assert script.runs == 1


@pytest.mark.usefixtures("anywhere")
def test_gauges__run_what_is_never_fresh_once_a_collection(metrics: Metrics, mount_checks: Mount) -> None:
    """A check that must run at each reading runs once for all instruments of a collection, and again for the next."""
    script = Script()
    mount_checks((script.define().check_class, {"max_age": 0}))
    for number in (1, 2, 3):
        metrics.collect()
        assert script.runs == number


def test_gauges__of_what_is_not_known(settings: Settings, metrics: Metrics, mount_checks: Mount) -> None:
    """A check that takes longer than a scrape waits is unknown, with no time, and all others are there."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "SCRAPE_WAIT": 0.05}
    runtime.reset()
    held = Held()
    slow = type("Slow", (Fine,), {"check_status": lambda self: held.wait()})
    mount_checks(slow, Broken)
    try:
        found = metrics.collect()
    finally:
        held.let_go.set()
    assert values(found[STATUS])["Slow", "unknown"] == 1
    assert values(found[STATUS])["Broken", "error"] == 1
    assert ("Slow",) not in values(found[TIME_TAKEN])


def test_gauges__without_endpoints(metrics: Metrics, mount: Mount) -> None:
    """A site that mounts none has no metrics, and nothing is wrong."""
    mount()
    assert metrics.collect() == {}


def test_gauges__of_a_site_that_is_broken(
    metrics: Metrics, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the records cannot be read, the other metrics of the process come all the same; the log says so once."""
    settings.HEALTH_CHECK = {"URLCONF": "nowhere.urls"}
    for _ in range(3):
        assert metrics.collect() == {}
    assert caplog.text.count("The OpenTelemetry metrics of the health checks could not be collected.") == 1
    assert "HEALTH_CHECK['URLCONF'] is 'nowhere.urls', which cannot be imported" in caplog.text


@pytest.mark.parametrize("bad", [{"SCRAPE_WAIT": "long"}, {"TRACES": 3}, {"DURATION_BUCKETS": 1}, {"STORE": 5}])
def test_gauges__of_bad_settings(metrics: Metrics, settings: Settings, mount_checks: Mount, bad: object) -> None:
    """Settings that cannot be used make no collection fail."""
    mount_checks(Fine)
    settings.HEALTH_CHECK = bad
    metrics.collect()


def test_gauges__say_nothing_as_a_process_ends(
    metrics: Metrics, mount_checks: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last collection of a process, after its main thread has ended, runs no checks."""
    script = Script()
    mount_checks(script.define().check_class)
    ended = threading.Thread()
    monkeypatch.setattr("health_check_opentelemetry.gauges.threading.main_thread", lambda: ended)
    assert metrics.collect() == {}
    assert script.runs == 0
