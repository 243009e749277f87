"""An observer of runs that notes what it hears."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from health_check.records import Result
from health_check.registry.definitions import Definition
from health_check.runner.observers import (
    Observer,
    RoundObserver,
    RunObserver,
    Trigger,
    register_observer,
    unregister_observer,
)

inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="nobody")
"""In the context of which observer a check executes."""


class Noting(Observer, RoundObserver, RunObserver):
    """Notes what it hears, and is round and run at once."""

    def __init__(self, name: str = "one", fails_at: str = "", exemplar: Callable[[], Any] = dict) -> None:
        self.name = name
        self.fails_at = fails_at
        self.heard: list[str] = []
        self._exemplar = exemplar

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
        self._hear("end" if result is None else f"end {result.outcome.value}")

    def waited(self) -> None:
        if self.fails_at == "waited":
            raise ZeroDivisionError

    def exemplar(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._exemplar()
        return found

    @property
    def words(self) -> list[str]:
        """What it heard, by the first words."""
        return [word.partition(" ")[0] for word in self.heard]


@contextlib.contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Have an observer follow all runs meanwhile."""
    register_observer(observer)
    try:
        yield
    finally:
        unregister_observer(observer)
