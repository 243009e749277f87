"""The fixtures of the tests of the OpenTelemetry exporter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from health_check import extensions
from health_check.backends import HealthCheck
from tests.support.bench import Held
from tests.support.recording import Metrics, Spans, meter_provider, recording_spans

THREADS = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}


@pytest.fixture(autouse=True)
def _is_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that has answered a request, as those are that send metrics."""
    monkeypatch.setattr(extensions, "_served", [None])


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Our spans, in a private SDK."""
    with recording_spans() as found:
        yield found


@pytest.fixture
def followed() -> Iterator[tuple[Spans, Metrics]]:
    """Our spans and the histogram, in a private SDK."""
    with meter_provider() as (provider, metrics), recording_spans(metrics=provider) as found:
        yield found, metrics


@pytest.fixture
def threads(settings: Settings) -> None:
    """Have checks run on the runner's threads, and keep their results for a minute."""
    settings.HEALTH_CHECK = THREADS


@pytest.fixture(params=[{}, THREADS], ids=["here", "threads"])
def anywhere(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Run the test with checks in the calling thread, and on the runner's."""
    settings.HEALTH_CHECK = request.param


@pytest.fixture
def hanging(held: Held) -> type[HealthCheck]:
    """A check that hangs until the test ends, beyond its time budget."""
    return held.check_class("Hanging", timeout=0.05)
