"""The observers: what follows runs from outside, as an exporter of spans does."""

from __future__ import annotations

import contextlib
import contextvars
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ParamSpec, TypeVar

from health_check.logs import log_once
from health_check.records import Result
from health_check.registry.definitions import Definition

MOST_EXEMPLAR_CHARACTERS = 128
"""How much the labels of an exemplar may be in all: OpenMetrics 1.0, Exemplars."""

T = TypeVar("T")
P = ParamSpec("P")


class Trigger(enum.StrEnum):
    """What had checks run."""

    REQUEST = "request"
    SCRAPE = "scrape"
    COLLECTION = "collection"
    SCHEDULER = "scheduler"
    COMMAND = "command"


_trigger: contextvars.ContextVar[Trigger] = contextvars.ContextVar("health_check_trigger", default=Trigger.REQUEST)


@contextlib.contextmanager
def triggered_by(trigger: Trigger) -> Iterator[None]:
    """Say what has checks run that are read in this context."""
    token = _trigger.set(trigger)
    try:
        yield
    finally:
        _trigger.reset(token)


def current_trigger() -> Trigger:
    """Return what has checks run that are read in this context."""
    return _trigger.get()


NOTHING = contextlib.nullcontext()


class RunObserver:
    """Follow one run of a check."""

    def attach(self) -> contextlib.AbstractContextManager[object]:
        """Return a context manager in which the check executes, on any thread."""
        return NOTHING

    def exemplar(self) -> Mapping[str, str]:
        """Return what finds this run elsewhere, as labels of an exemplar: the ids of a sampled trace, say.

        Called once, when the run has ended.
        """
        return {}

    def end(self, result: Result) -> None:
        """Note the outcome; called once, at the deadline if the check has not ended by then."""


class RoundObserver:
    """Follow the runs that one reading started."""

    def run(self, definition: Definition) -> RunObserver:
        """Return the observer of one run, which starts now, on this thread."""
        return RunObserver()

    def waited(self) -> None:
        """Note that who reads in this context has waited for these runs."""

    def end(self) -> None:
        """Note that all runs have an outcome."""


class Observer:
    """Follow all runs of this process."""

    def round(self, trigger: Trigger, *, failing: bool) -> RoundObserver:
        """Return the observer of the runs that start now.

        Args:
            trigger: What has them start.
            failing: Whether any of the checks was not ok when it ran last.
        """
        return RoundObserver()

    def untraced(self) -> contextlib.AbstractContextManager[object]:
        """Return a context manager for work of our own that is no run of a check: at the store, say."""
        return NOTHING


_observers: list[Observer] = []


def register_observer(observer: Observer) -> None:
    """Have an observer follow all runs from now on."""
    if observer not in _observers:
        _observers.append(observer)


def unregister_observer(observer: Observer) -> None:
    """Have an observer follow no further runs."""
    if observer in _observers:
        _observers.remove(observer)


def untraced() -> contextlib.AbstractContextManager[object]:
    """Return a context manager for what is no run of a check: no observer follows it."""
    observers = tuple(_observers)
    return _all_entered([observer.untraced for observer in observers]) if observers else NOTHING


@contextlib.contextmanager
def _all_entered(makes: Iterable[Callable[[], contextlib.AbstractContextManager[object]]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for make in makes:
            _guarded(_enter, stack, make)
        yield


class Observers(RoundObserver):
    """All observers as one; their exceptions are logged, and change nothing else.

    Args:
        failing: Whether any of the checks was not ok when it ran last.
    """

    def __init__(self, *, failing: bool = False) -> None:
        trigger = current_trigger()
        rounds = (_guarded(observer.round, trigger, failing=failing) for observer in tuple(_observers))
        self._rounds = [observed for observed in _present(rounds) if type(observed) is not RoundObserver]

    def run(self, definition: Definition) -> RunObserver:
        if not self._rounds:
            return RunObserver()
        return _Runs(_present(_guarded(observed.run, definition) for observed in self._rounds))

    def waited(self) -> None:
        for observed in self._rounds:
            _guarded(observed.waited)

    def end(self) -> None:
        for observed in self._rounds:
            _guarded(observed.end)


class _Runs(RunObserver):
    def __init__(self, runs: Sequence[RunObserver]) -> None:
        self._runs = runs

    def attach(self) -> contextlib.AbstractContextManager[object]:
        return _all_entered([run.attach for run in self._runs])

    def exemplar(self) -> Mapping[str, str]:
        found = _present(_guarded(_labels_of, run) for run in self._runs)
        return {name: value for labels in found for name, value in labels.items()}

    def end(self, result: Result) -> None:
        for run in self._runs:
            _guarded(run.end, result)


def _labels_of(run: RunObserver) -> dict[str, str]:
    labels = {str(name): str(value) for name, value in run.exemplar().items()}
    return labels if sum(map(len, (*labels, *labels.values()))) <= MOST_EXEMPLAR_CHARACTERS else {}


def _enter(stack: contextlib.ExitStack, make: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
    context = make()
    context.__enter__()
    stack.callback(_guarded, context.__exit__, None, None, None)


def _guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        name = getattr(function, "__qualname__", "")
        log_once(f"observer {name}", "An observer of health checks failed.", error, beside=True)
        return None


def _present(values: Iterable[T | None]) -> list[T]:
    return [value for value in values if value is not None]
