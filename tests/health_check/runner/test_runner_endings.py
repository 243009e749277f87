"""What a check may leave behind: whatever it is, the run has an outcome at once, and the next one is as ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.records import State
from tests.support.bench import Bench, defined

TIMEOUT = 2.0
"""The budget of the checks: an outcome that only the deadline brings is told as a timeout."""

UNKNOWN = "unknown error"

Body = Callable[[Any], None]

KINDS = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite, at every reading."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 2}


class ExitingText(ServiceUnavailable):
    """Ends the process when it is to say what is wrong."""

    def __str__(self) -> str:
        raise SystemExit(3)


class FailingText(ServiceUnavailable):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class NoText(ServiceUnavailable):
    """Says what is wrong by a number."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Lazy:
    """Is found out about only when somebody looks, as Django's lazy objects are."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise ZeroDivisionError


class Interrupting(list[object]):
    """Cannot be looked through."""

    def __iter__(self) -> Iterator[object]:
        raise KeyboardInterrupt


class Closed(HealthCheck):
    """Shows nothing of itself."""

    def __getattribute__(self, name: str) -> object:
        raise SystemExit(4)


class Immeasurable(HealthCheck):
    """Has taken more seconds than a float can tell."""

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, 10**400 if name == "time_taken" else value)


class Nameless(type):
    """Makes classes that do not say where they are from."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise SystemExit(5)


class Unplaced(Exception, metaclass=Nameless):
    """An exception of such a class."""


def raising(exception: Callable[..., BaseException], *arguments: object) -> Body:
    """Return what raises an exception of its own."""

    def body(check: Any) -> None:
        raise exception(*arguments)

    return body


def leaving(errors: object) -> Body:
    """Return what sets the list of errors."""

    def body(check: Any) -> None:
        check.errors = errors

    return body


def adding(*errors: object) -> Body:
    """Return what adds to the list of errors, whatever that is meant for."""

    def body(check: Any) -> None:
        check.errors.extend(errors)

    return body


def becoming(other: type) -> Body:
    """Return what makes the check an instance of another class."""

    def body(check: Any) -> None:
        check.__class__ = other

    return body


NO_MEMORY = "unavailable: this process has no memory left: it cannot judge, and its result is not shared"

ENDINGS: dict[str, tuple[Body, str]] = {
    "exiting text": (raising(ExitingText), UNKNOWN),
    "failing text": (raising(FailingText), UNKNOWN),
    "no text": (raising(NoText), UNKNOWN),
    "unplaced": (raising(Unplaced), UNKNOWN),
    **{error.__name__: (raising(error), UNKNOWN) for error in (SystemExit, GeneratorExit, RecursionError)},
    "interrupted": (raising(KeyboardInterrupt), UNKNOWN),
    "cancelled": (raising(asyncio.CancelledError), UNKNOWN),
    "group": (raising(BaseExceptionGroup, "both", [KeyboardInterrupt(), ServiceUnavailable("no")]), UNKNOWN),
    "memory": (raising(MemoryError), f"{UNKNOWN}\n{NO_MEMORY}"),
    "None": (leaving(None), UNKNOWN),
    "number": (leaving(5), UNKNOWN),
    "interrupting": (leaving(Interrupting([1])), UNKNOWN),
    "objects": (adding(None, 5, b"bytes", OSError("secret"), "text"), f"{UNKNOWN}\n{UNKNOWN}: text"),
    "lazy": (adding(Lazy()), UNKNOWN),
    "exiting text among errors": (adding(ExitingText()), UNKNOWN),
    "unshowable": (raising(ServiceUnavailable, "a\0b\ud800c\x1b[31m"), "unavailable: a\ufffdb\ufffdc\ufffd[31m"),
    "closed": (becoming(Closed), UNKNOWN),
    "immeasurable": (becoming(Immeasurable), "OK"),
}


@KINDS
@pytest.mark.parametrize("name", ENDINGS)
def test_check__leaving_anything__has_an_outcome_at_once(bench: Bench, name: str, asynchronous: bool) -> None:
    """What cannot be read is an unknown error, not a timeout, and the check is run again."""
    body, text = ENDINGS[name]
    runs: list[int] = []

    def check_status(check: HealthCheck) -> None:
        runs.append(1)
        body(check)

    async def acheck_status(check: HealthCheck) -> None:
        check_status(check)

    definition = defined(acheck_status if asynchronous else check_status, timeout=TIMEOUT)
    assert [bench.read(definition).pretty_status for _ in range(3)] == [text] * 3
    assert len(runs) == 3
    assert bench.read(defined(lambda check: None)).state is State.OK


def replacing_the_method(check_class: Any) -> None:
    """Leave the class without a method that looks at the service."""
    check_class.check_status = None


def removing_the_method(check_class: Any) -> None:
    """Leave the class with what it inherited."""
    del check_class.check_status


@KINDS
@pytest.mark.parametrize("mutate", [replacing_the_method, removing_the_method])
def test_check__that_breaks_its_class__is_in_error_from_then_on(
    bench: Bench, mutate: Callable[[Any], None], asynchronous: bool
) -> None:
    """The run that breaks the class counts, and those that follow tell that it is broken."""

    def check_status(check: HealthCheck) -> None:
        mutate(type(check))

    async def acheck_status(check: HealthCheck) -> None:
        mutate(type(check))

    definition = defined(acheck_status if asynchronous else check_status, timeout=TIMEOUT)
    assert [bench.read(definition).pretty_status for _ in range(3)] == ["OK", UNKNOWN, UNKNOWN]


def test_check__that_mutates_its_class__keeps_its_policy(bench: Bench) -> None:
    """Budget, label, scope and weight are those it was declared with, and it runs as often as before."""
    runs: list[float] = []

    def check_status(check: Any) -> None:
        own = type(check)
        own.critical_service = False
        own.timeout, own.max_age, own.name, own.scope = 0.0001, 1e9, "Renamed", "fleet"
        own.__qualname__ += "x"
        runs.append(1)

    definition = defined(check_status, timeout=TIMEOUT)
    label = definition.label
    for _ in range(3):
        reading = bench.read(definition)
        assert (reading.state, reading.label, definition.scope) == (State.OK, label, "host")
        assert (definition.timeout, definition.max_age, definition.critical) == (TIMEOUT, 0, True)
    assert len(runs) == 3
