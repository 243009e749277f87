"""The collector in a registry."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.urls import path
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check_prometheus import HealthCheckCollector
from tests.conftest import Mount
from tests.support.bench import SECONDS, Held, Script, eventually
from tests.support.checks import Broken, Exiting, Fine, Unbuildable

THREADS = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry with our collector alone."""
    found = CollectorRegistry()
    HealthCheckCollector(found)
    return found


def value_in(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """Return the value of a series of ours."""
    return registry.get_sample_value(f"django_health_check_{name}", labels)


def test_register__runs_nothing(mount_checks: Mount) -> None:
    """Neither registering nor describing runs a check; describing names every family that collecting does."""
    script = Script()
    mount_checks(script.define().check_class)
    collector = HealthCheckCollector(CollectorRegistry(auto_describe=True))
    described = {(family.name, family.type) for family in collector.describe()}
    assert script.runs == 0
    assert described == {(family.name, family.type) for family in collector.collect()}
    assert script.runs == 1


def test_register__once_in_a_registry(registry: CollectorRegistry) -> None:
    """A registry takes one such collector, and no metric of one of its names; without a registry it is nowhere."""
    with pytest.raises(ValueError, match="Duplicated"):
        HealthCheckCollector(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("django_health_check_runs", "The same name.", registry=registry)
    assert HealthCheckCollector(None) not in REGISTRY._collector_to_names


def test_app__registers_with_the_default_registry_once() -> None:
    """The app has registered one collector, and does not mind being asked again."""
    apps.get_app_config("health_check_prometheus").ready()
    ours = [found for found in REGISTRY._collector_to_names if isinstance(found, HealthCheckCollector)]
    assert len(ours) == 1


def test_collect__shows_the_record(settings: Settings, mount_checks: Mount, registry: CollectorRegistry) -> None:
    """A run is counted once, however many scrapes see it; its times are those that every other answer shows."""
    settings.HEALTH_CHECK = THREADS
    script = Script()
    mount_checks(script.define().check_class)
    for _ in range(3):
        generate_latest(registry)
    [shown] = runtime.read().readings
    assert script.runs == 1
    assert value_in(registry, "runs_total", check=shown.label, outcome="ok") == 1
    assert value_in(registry, "last_run_timestamp_seconds", check=shown.label) == shown.finished
    assert value_in(registry, "time_taken_seconds", check=shown.label) == shown.time_taken


@pytest.mark.parametrize("threads", [0, 4])
@pytest.mark.parametrize("check", [Exiting, Unbuildable, "no.such.Check"])
def test_collect__check_raises_anything(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry, check: object, threads: int
) -> None:
    """A check that cannot be used is in error, and the others are as they are."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    mount_checks(Fine, check)
    generate_latest(registry)
    assert value_in(registry, "status", check="Fine") == 1
    assert value_in(registry, "endpoint_status", url_name="health") == 0


@pytest.mark.parametrize("value", [None, {"MAX_AGE": -1}, {"SCRAPE_WAIT": "long"}, {"URLCONF": "no.such.urls"}])
def test_collect__site_unusable(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry, value: object
) -> None:
    """With settings that cannot be used there are no values, but other collectors' metrics are not lost."""
    Counter("other", "Another collector's.", registry=registry).inc()
    mount_checks(Fine)
    settings.HEALTH_CHECK = value
    page = generate_latest(registry).decode()
    assert "other_total 1.0" in page
    assert "django_health_check_store_up 0.0" in page
    assert "django_health_check_status{" not in page


def test_collect__slow_check_is_unknown(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry, held: Held
) -> None:
    """A scrape waits SCRAPE_WAIT at most: a check that takes longer is unknown, and its run goes on and counts."""
    settings.HEALTH_CHECK = {**THREADS, "SCRAPE_WAIT": 0.01}
    mount_checks(held.check_class("Slow"), Fine)
    assert value_in(registry, "state", check="Slow", state="unknown") == 1
    assert value_in(registry, "in_progress", check="Slow") == 1
    assert held.running.wait(SECONDS)  # what only waits for a thread does not count
    assert value_in(registry, "endpoint_status", url_name="health") == 0
    assert value_in(registry, "runs_total", check="Slow", outcome="ok") == 0
    assert value_in(registry, "time_taken_seconds", check="Slow") is None
    held.let_go.set()
    eventually(lambda: value_in(registry, "state", check="Slow", state="ok") == 1)
    assert value_in(registry, "runs_total", check="Slow", outcome="ok") == 1


def test_draining__of_readiness_alone(mount: Mount, registry: CollectorRegistry) -> None:
    """While the host is drained the gauge is 1 and readiness endpoints are not in order; all else is as it was."""
    view = HealthCheckView.as_view
    mount(
        path("ready/", view(checks=[Fine], readiness=True), name="ready"),
        path("up/", view(checks=[], readiness=True), name="up"),
        path("sick/", view(checks=[Broken], readiness=True), name="sick"),
        path("live/", view(checks=[], liveness=True), name="live"),
        path("health/", view(checks=[Fine]), name="health"),
    )

    def shown() -> dict[str, float | None]:
        names = ("ready", "up", "sick", "live", "health")
        found = {name: value_in(registry, "endpoint_status", url_name=name) for name in names}
        checks = {name: value_in(registry, "status", check=name) for name in ("Fine", "Broken")}
        return {**found, **checks, "draining": value_in(registry, "draining")}

    before = {"ready": 1, "up": 1, "sick": 0, "live": 1, "health": 1, "Fine": 1, "Broken": 0, "draining": 0}
    assert shown() == before
    runtime.drain()
    assert shown() == {**before, "draining": 1, "ready": 0, "up": 0}
    runtime.drain(undo=True)
    assert shown() == before
