"""The fixtures of the tests of the runner and the monitor."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.support.bench import Bench, Held, MovableClock, SharedStore, Worker


@pytest.fixture
def bench() -> Bench:
    """A monitor of the test's own."""
    return Bench()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Something to wait for, opened at the end so that no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def held() -> Iterator[Held]:
    """A check that is held until the test lets it go."""
    check = Held()
    yield check
    check.let_go.set()


@pytest.fixture
def shelf() -> SharedStore:
    """A store as processes share one, which fails when a test wants it to."""
    return SharedStore(MovableClock())


@pytest.fixture
def worker(shelf: SharedStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A process that uses it, and tries to come back to it far more often than once a second."""
    monkeypatch.setattr("health_check.stores.client.RETRY_SECONDS", 0.02)
    made = Worker(shelf.clock, lambda: shelf)
    yield made
    made.close()


@pytest.fixture
def on_threads(settings: Settings) -> None:
    """Keep results for ten seconds, and run checks on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 32}
