"""The thread that keeps deadlines."""

from __future__ import annotations

import threading
import time

import pytest

from health_check.concurrency.clock import Clock
from health_check.concurrency.timers import Timers

SECONDS = 20


def test_set__calls_in_the_order_of_time() -> None:
    """An alarm set later but due earlier is called earlier."""
    calls: list[str] = []
    done = threading.Event()
    timers = Timers(Clock())
    timers.call_later(0.2, lambda: calls.append("late"))
    timers.call_later(0.3, done.set)
    timers.call_later(0.01, lambda: calls.append("early"))
    assert done.wait(SECONDS)
    assert calls == ["early", "late"]


def test_cancel__is_in_time() -> None:
    """A cancelled alarm is not called, and does not keep the next one from being called."""
    calls: list[str] = []
    done = threading.Event()
    timers = Timers(Clock())
    timers.call_later(0.01, lambda: calls.append("cancelled")).cancel()
    timers.call_later(0.05, done.set)
    assert done.wait(SECONDS)
    assert calls == []


def test_set__goes_on_after_a_callback_that_raised(caplog: pytest.LogCaptureFixture) -> None:
    """One deadline that cannot be kept does not cost the others theirs."""
    done = threading.Event()
    timers = Timers(Clock())

    def fail() -> None:
        raise ValueError("never mind")

    timers.call_later(0.0, fail)
    timers.call_later(0.01, done.set)
    assert done.wait(SECONDS)
    assert "never mind" in caplog.text


def test_set__starts_again_after_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends when it has nothing to do, and another one starts when it has."""
    monkeypatch.setattr("health_check.concurrency.timers.IDLE_SECONDS", 0.0)
    timers = Timers(Clock())
    for _ in range(2):
        done = threading.Event()
        timers.call_later(0.0, done.set)
        assert done.wait(SECONDS)
        until = time.monotonic() + SECONDS
        while timers._awake and time.monotonic() < until:
            threading.Event().wait(0.001)
        assert not timers._awake
