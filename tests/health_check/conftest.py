"""The fixtures of the tests of the runner and the monitor."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.bench import Bench, Held


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
