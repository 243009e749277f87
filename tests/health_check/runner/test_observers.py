"""Observers of runs."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Iterator

import pytest

from health_check.records import Result
from health_check.registry.definitions import Definition
from health_check.runner import observers
from health_check.runner.observers import Observer, Observers, RoundObserver, RunObserver, Trigger
from tests.support.bench import Bench, defined

RESULT = Result(time_taken=0.5, started=1.0, finished=1.5, host="host", pid=1)

FINE = defined(lambda check: None)

inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="nobody")


class Noting(Observer, RoundObserver, RunObserver):
    """Notes what it hears, and is round and run at once."""

    def __init__(self, name: str = "one", fails_at: str = "") -> None:
        self.name = name
        self.fails_at = fails_at
        self.heard: list[str] = []

    def _hear(self, word: str) -> None:
        self.heard.append(word)
        if word.partition(" ")[0] == self.fails_at:
            raise ZeroDivisionError(word)

    def round(self, trigger: Trigger, *, failing: bool) -> RoundObserver:
        self._hear("round")
        return self

    def run(self, definition: Definition) -> RunObserver:
        self._hear(f"run {definition.label}")
        return self

    @contextlib.contextmanager
    def attach(self) -> Iterator[None]:
        self._hear("enter")
        token = inside.set(self.name)
        try:
            yield
        finally:
            inside.reset(token)
            self._hear("leave")

    def end(self, result: Result | None = None) -> None:
        self._hear("end" if result is None else f"end {result.state.value}")


@pytest.fixture
def registered() -> Iterator[list[Observer]]:
    """Observers that follow all runs of the test."""
    found: list[Observer] = []
    yield found
    for observer in found:
        observers.unregister_observer(observer)


def register(observer: Observer, registered: list[Observer]) -> None:
    """Have an observer follow the runs of this test."""
    registered.append(observer)
    observers.register_observer(observer)


def test_register__follows_a_reading(registered: list[Observer]) -> None:
    """An observer hears of the round, of each run in it, and of both ends; the check executes in its context."""
    noting = Noting()
    register(noting, registered)
    seen: list[str] = []
    definition = defined(lambda check: seen.append(inside.get()))
    Bench().monitor.read([definition], inline=True)
    run = f"run {definition.label}"
    assert noting.heard == ["round", run, "enter", "leave", "end ok", "end"]
    assert (seen, inside.get()) == (["one"], "nobody")


def test_register__each_once(registered: list[Observer]) -> None:
    """An observer that is registered twice hears everything once; an unregistered one nothing."""
    noting, gone = Noting(), Noting()
    for observer in (noting, noting, gone):
        register(observer, registered)
    observers.unregister_observer(gone)
    observers.unregister_observer(gone)
    Observers().run(FINE).end(RESULT)
    assert [word.partition(" ")[0] for word in noting.heard] == ["round", "run", "end"]
    assert gone.heard == []


def test_observers__several_nest(registered: list[Observer]) -> None:
    """Contexts of several observers nest in the order in which they were registered."""
    order: list[str] = []
    for name in ("outer", "inner"):
        noting = Noting(name)
        noting.heard = order
        register(noting, registered)
    with Observers().run(FINE).attach():
        assert inside.get() == "inner"
    assert order[-4:] == ["enter", "enter", "leave", "leave"]
    assert inside.get() == "nobody"


@pytest.mark.parametrize("moment", ["round", "run", "enter", "leave", "end"])
@pytest.mark.parametrize("position", [0, 1])
def test_observers__failing_one_harms_nothing(
    moment: str, position: int, registered: list[Observer], caplog: pytest.LogCaptureFixture
) -> None:
    """An observer that raises at any moment is logged; the check and other observers do not notice."""
    pair = [Noting("good"), Noting("bad", fails_at=moment)]
    for observer in pair if position else reversed(pair):
        register(observer, registered)
    ran: list[int] = []
    definition = defined(lambda check: ran.append(1))
    with caplog.at_level(logging.ERROR, "health_check"):
        (reading,) = Bench().monitor.read([definition], inline=True)
    assert (ran, reading.status) == ([1], 1)
    assert [word.partition(" ")[0] for word in pair[0].heard] == ["round", "run", "enter", "leave", "end", "end"]
    assert "An observer of health checks failed" in caplog.text


def test_observers__default_ones_do_nothing() -> None:
    """The base classes can be used as they are."""
    round_ = Observer().round(Trigger.REQUEST, failing=False)
    run = round_.run(FINE)
    with run.attach():
        run.end(RESULT)
    round_.end()
    assert type(run) is RunObserver
