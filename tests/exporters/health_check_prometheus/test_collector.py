"""The collector in a registry."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.apps import apps
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check_prometheus import HealthCheckCollector
from health_check_prometheus.collector import register_default
from tests.conftest import Mount
from tests.support.checks import Broken, Exiting, Fine, Shaky, Unbuildable

PREFIX = "django_health_check_"


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry with our collector alone."""
    found = CollectorRegistry()
    HealthCheckCollector(found)
    return found


@pytest.fixture
def counting() -> tuple[type[HealthCheck], list[int]]:
    """A check, and the list that grows with each of its runs and constructions."""
    runs: list[int] = []

    class Counting(HealthCheck):
        def check_status(self) -> None:
            runs.append(1)

    return Counting, runs


def test_register__runs_nothing(mount_checks: Mount, counting: tuple[type[HealthCheck], list[int]]) -> None:
    """Neither registering nor describing runs a check; describing names every family that collecting does."""
    check, runs = counting
    mount_checks(check)
    collector = HealthCheckCollector(CollectorRegistry(auto_describe=True))
    described = {(family.name, family.type) for family in collector.describe()}
    assert runs == []
    assert described == {(family.name, family.type) for family in collector.collect()}
    assert runs == [1]


def test_register__nowhere() -> None:
    """Without a registry it is registered nowhere."""
    collector = HealthCheckCollector(None)
    assert collector not in REGISTRY._collector_to_names


def test_register__twice_is_refused(registry: CollectorRegistry) -> None:
    """A registry takes one such collector."""
    with pytest.raises(ValueError, match="Duplicated"):
        HealthCheckCollector(registry)


def test_register__equal_name_is_refused(registry: CollectorRegistry) -> None:
    """A metric of one of our names is refused, as describe() tells all of them."""
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("django_health_check_runs", "The same name.", registry=registry)


def test_app__registers_with_the_default_registry_once() -> None:
    """The app has registered one collector, and does not mind being asked again."""
    apps.get_app_config("health_check_prometheus").ready()
    register_default()
    ours = [found for found in REGISTRY._collector_to_names if isinstance(found, HealthCheckCollector)]
    assert len(ours) == 1


def test_collect__values(mount_checks: Mount, registry: CollectorRegistry) -> None:
    """The values are those of the checks, run now."""
    mount_checks(Fine, (Shaky, {"critical_service": False}), Broken)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"{PREFIX}{name}", labels)

    assert value("status", check="Fine") == 1
    assert value("state", check="Fine", state="ok") == 1
    assert value("state", check="Shaky", state="warning") == 1
    assert value("state", check="Broken", state="error") == 1
    assert value("status", check="Broken") == 0
    assert value("endpoint_status", url_name="health") == 0
    assert value("endpoint_check_info", url_name="health", check="Shaky", critical="false") == 1
    assert value("info", check="Fine", backend="tests.support.checks.Fine", scope="host") == 1
    assert value("store_up") == 1


def test_collect__runs_counted(
    settings: Settings,
    mount_checks: Mount,
    registry: CollectorRegistry,
    counting: tuple[type[HealthCheck], list[int]],
) -> None:
    """A run is counted once, however many scrapes see it."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    check, runs = counting
    mount_checks(check)
    pages = [generate_latest(registry) for _ in range(3)]
    assert len(runs) == 1
    assert f'{PREFIX}runs_total{{check="Counting",outcome="ok"}} 1.0'.encode() in pages[-1]
    assert f'{PREFIX}last_run_timestamp_seconds{{check="Counting"}}'.encode() in pages[-1]


def test_collect__same_record_as_every_face(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry
) -> None:
    """The time of the last run is that which every other face shows."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    mount_checks(Fine)
    [shown] = runtime.read().readings
    assert registry.get_sample_value(f"{PREFIX}last_run_timestamp_seconds", {"check": "Fine"}) == shown.finished
    assert registry.get_sample_value(f"{PREFIX}time_taken_seconds", {"check": "Fine"}) == shown.time_taken


@pytest.mark.parametrize("threads", [0, 4])
@pytest.mark.parametrize("check", [Exiting, Unbuildable, "no.such.Check"])
def test_collect__check_raises_anything(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry, check: object, threads: int
) -> None:
    """A check that cannot be used is in error, and the others are as they are."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    mount_checks(Fine, check)
    generate_latest(registry)
    assert registry.get_sample_value(f"{PREFIX}status", {"check": "Fine"}) == 1
    assert registry.get_sample_value(f"{PREFIX}endpoint_status", {"url_name": "health"}) == 0


@pytest.mark.parametrize("value", [None, {"MAX_AGE": -1}, {"URLCONF": "no.such.urls"}])
def test_collect__site_unusable(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry, value: object
) -> None:
    """With settings that cannot be used there are no values, but other collectors' metrics are not lost."""
    Counter("other", "Another collector's.", registry=registry).inc()
    mount_checks(Fine)
    settings.HEALTH_CHECK = value
    page = generate_latest(registry).decode()
    assert "other_total 1.0" in page
    assert f"{PREFIX}store_up 0.0" in page
    assert f"{PREFIX}status{{" not in page


def test_scrape_wait__slow_check_is_unknown(
    settings: Settings, mount_checks: Mount, registry: CollectorRegistry
) -> None:
    """A scrape waits SCRAPE_WAIT at most: a check that takes longer is unknown, and its run goes on and counts."""
    begun: threading.Event = threading.Event()
    release: threading.Event = threading.Event()
    done: threading.Event = threading.Event()

    class Slow(HealthCheck):
        def check_status(self) -> None:
            begun.set()
            release.wait()
            done.set()

    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "SCRAPE_WAIT": 0.01}
    mount_checks(Slow, Fine)
    value: Callable[..., float | None] = registry.get_sample_value
    try:
        assert value(f"{PREFIX}state", {"check": "Slow", "state": "unknown"}) == 1
        assert value(f"{PREFIX}in_progress", {"check": "Slow"}) == 1
        begun.wait()  # what only waits for a thread does not count
        assert value(f"{PREFIX}endpoint_status", {"url_name": "health"}) == 0
        assert value(f"{PREFIX}runs_total", {"check": "Slow", "outcome": "ok"}) == 0
        assert value(f"{PREFIX}time_taken_seconds", {"check": "Slow"}) is None
    finally:
        release.set()
    assert done.wait(10)
    runtime.read()
    assert value(f"{PREFIX}state", {"check": "Slow", "state": "ok"}) == 1
    assert value(f"{PREFIX}runs_total", {"check": "Slow", "outcome": "ok"}) == 1
