"""The metrics that read the records."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest
from django.core.signals import request_started
from django.test import Client
from django.urls import path
from opentelemetry.sdk.metrics.export import Gauge, Metric, Sum
from pytest_django import Settings

from health_check import extensions
from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview
from health_check.views import HealthCheckView
from health_check_opentelemetry.gauges import INSTRUMENTS
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import Held, Script, eventually
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.readings import reading
from tests.support.recording import Metrics, meter_provider, points

STATUS = "health_check.check.status"
TIME_TAKEN = "health_check.check.time_taken"
ENDPOINT_STATUS = "health_check.endpoint.status"
STUCK_PID = "health_check.check.stuck_pid"
"""What is absent while no run hangs."""

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
    assert set(found) == set(INSTRUMENTS) - {STUCK_PID}
    expected = {"Fine": "ok", "AsyncFine": "ok", "Shaky": "warning", "Broken": "error"}
    assert values(found[STATUS]) == {(name, state): expected[name] == state for name in expected for state in STATES}
    assert values(found[ENDPOINT_STATUS]) == {("health",): 0, ("ready",): 1}
    assert {key for (key,) in values(found[TIME_TAKEN])} == set(expected)
    for name, metric in found.items():  # as OpenTelemetry has it: states are up-down counters, times are gauges
        instrument = INSTRUMENTS[name]
        assert isinstance(metric.data, Gauge if instrument.kind == "gauge" else Sum), name
        assert isinstance(metric.data, Gauge) or metric.data.is_monotonic is (instrument.kind == "counter"), name
        assert metric.unit == instrument.unit


@pytest.mark.usefixtures("threads")
def test_gauges__tell_what_alerts_need(metrics: Metrics, mount: Mount) -> None:
    """They have what the rules of the alerts read: membership, times, budgets, runs, the store, draining, owners."""

    class Owned(Broken):
        tags: ClassVar = {"owner": "payments"}
        runbook = "https://runbooks.example/owned"

    mount(path("ready/", HealthCheckView.as_view(checks=[Fine, Owned], readiness=True), name="ready"))
    before = time.time()
    runtime.read()
    runtime.drain()
    found = {name: values(metric) for name, metric in metrics.collect().items()}
    assert found["health_check.endpoint.check.info"] == {
        ("true", "Fine", "ready"): 1,
        ("true", "Owned", "ready"): 1,
    }
    for name in ("last_run", "last_transition"):
        times = found[f"health_check.check.{name}.timestamp"]
        assert set(times) == {("Fine",), ("Owned",)}
        assert all(before <= moment <= time.time() for moment in times.values())
    assert set(found["health_check.check.last_success.timestamp"]) == {("Fine",)}
    assert found["health_check.check.timeout"] == {("Fine",): 5.0, ("Owned",): 5.0}
    assert found["health_check.check.max_age"] == {("Fine",): 60.0, ("Owned",): 60.0}
    assert found["health_check.check.in_progress"] == {("Fine",): 0, ("Owned",): 0}
    assert {key: count for key, count in found["health_check.check.runs"].items() if count} == {
        ("Fine", "ok"): 1,
        ("Owned", "error"): 1,
    }
    assert found["health_check.store.up"] == {(): 1}
    assert found["health_check.draining"] == {(): 1}
    [process] = found["health_check.process.info"]
    assert set(process) == set(extensions.process_info().values())
    [owned] = [key for key in found["health_check.check.info"] if "Owned" in key]
    assert {"payments", "https://runbooks.example/owned", "host"} < set(owned)


def test_stuck_pid__while_a_run_hangs() -> None:
    """The process in which a run hangs is told as long as it does."""
    ok, late = reading("Database"), reading("Search", ServiceUnavailable("timed out after 5 s"))
    assert late.record is not None
    result = dataclasses.replace(late.record.result, timed_out=True, pid=4711)
    stuck = dataclasses.replace(late, record=late.record._replace(result=result), in_progress=True)
    overview = Overview(readings=(ok, late, stuck), reports=())
    [found] = INSTRUMENTS[STUCK_PID].observed(overview, StoreSummary())
    assert (found.value, found.attributes) == (4711, {"health_check.name": "Search"})


@pytest.mark.parametrize(
    ("which", "served", "sent"),
    [
        ("servers", [None], True),
        ("servers", [], False),
        ("all", [], True),
        ("none", [None], False),
    ],
)
def test_gauges__of_which_processes(
    settings: Settings,
    metrics: Metrics,
    mount_checks: Mount,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    served: list[None],
    sent: bool,
) -> None:
    """By default only a process that has answered a request sends metrics, and runs checks for that."""
    script = Script()
    mount_checks(script.define().check_class)
    settings.HEALTH_CHECK = {"OTEL_METRICS": which}
    monkeypatch.setattr(extensions, "_served", served)
    assert bool(metrics.collect()) is sent
    assert script.runs == int(sent)
    assert extensions.sends_metrics() is sent
    with extensions.running_as(extensions.Role.EXPORTER):
        assert extensions.sends_metrics() is (which != "none")


def test_server__is_what_has_answered_a_request(
    mount_checks: Mount, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request of a process, whatever it asks for, makes it a server."""
    monkeypatch.setattr(extensions, "_served", [])
    request_started.connect(extensions._note_request, dispatch_uid=extensions.NOTE_REQUEST)
    mount_checks(Fine)
    assert not extensions.sends_metrics()
    client.get("/nothing/here/")
    assert extensions.sends_metrics()
    assert not request_started.disconnect(dispatch_uid=extensions.NOTE_REQUEST)


@pytest.mark.usefixtures("threads")
def test_gauges__read_the_record(metrics: Metrics, mount_checks: Mount) -> None:
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


def test_gauges__of_what_is_not_known(settings: Settings, metrics: Metrics, mount_checks: Mount, held: Held) -> None:
    """A check that takes longer than a scrape waits is unknown, with no time, and all others are there."""
    settings.HEALTH_CHECK = {**THREADS, "SCRAPE_WAIT": 0.05}
    runtime.reset()
    mount_checks(held.check_class("Slow"), Broken)
    eventually(lambda: values(metrics.collect()[STATUS])["Broken", "error"] == 1)
    found = metrics.collect()
    assert values(found[STATUS])["Slow", "unknown"] == 1
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
    for bad in ({"SCRAPE_WAIT": "long"}, {"TRACES": 3}, {"DURATION_BUCKETS": 1}, {"STORE": 5}):
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
