"""The check as django-health-check 3.2x promises it to its users."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable
from typing import Any

import pytest
from pytest_django import Settings

from health_check import backends
from health_check.backends import HealthCheck, is_asynchronous
from health_check.exceptions import HealthCheckException, ServiceUnavailable, ServiceWarning
from tests.support.checks import (
    Alias,
    AsyncBroken,
    AsyncFine,
    BaseBlown,
    Blown,
    Broken,
    Exiting,
    Fine,
    NoException,
    TwiceBroken,
)


@dataclasses.dataclass
class Required(HealthCheck):
    """Has required fields of the names that are policy elsewhere."""

    name: str
    scope: str
    max_age: int
    timeout: float


def test_fields__required_ones() -> None:
    """The base class gives a user's required fields no default, whatever their names, and no place of theirs."""
    check = Required("a", "b", 3, 4.5)
    assert dataclasses.astuple(check)[2:] == ("a", "b", 3, 4.5)
    assert repr(check) == "Required(name='a', scope='b', max_age=3, timeout=4.5)"
    with pytest.raises(TypeError, match="timeout"):
        Required("a", "b", 3)  # type: ignore[call-arg]


class Skipping(HealthCheck):
    """Has an ``__init__`` that leaves the one above out."""

    def __init__(self, host: str) -> None:
        self.host = host

    def check_status(self) -> None:
        """Find nothing wrong."""


def test_errors__without_super_init() -> None:
    """A check whose constructor skipped ``super()`` has a list of its own."""
    first, second = Skipping("a"), Skipping("b")
    first.add_error("gone")
    assert (first.status, second.status, second.errors) == (0, 1, [])
    second.run_check()
    assert (second.critical_service, second.pretty_status()) == (True, "OK")


def test_getattr__unknown_attribute() -> None:
    """What a check does not have is an AttributeError that names it."""
    with pytest.raises(AttributeError, match=r"'Fine' object has no attribute 'nonsense'"):
        Fine().nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_timeout__as_version_4_reads_it(settings: Settings) -> None:
    """A check that states no budget reads that of the settings, as the timedelta it is in version 4.x."""
    settings.HEALTH_CHECK = {"TIMEOUT": 7}
    assert Fine().timeout.total_seconds() == 7


def test_check_status__missing() -> None:
    """A check that does nothing says so, and which one it is."""
    with pytest.raises(NotImplementedError, match="HealthCheck must define check_status"):
        HealthCheck().check_status()
    with pytest.raises(NotImplementedError):
        HealthCheck().run_check()


@pytest.mark.parametrize("check_class", [Fine, AsyncFine])
def test_run_check__ok(check_class: type[HealthCheck]) -> None:
    """A run without errors is OK, takes time, and forgets the errors before."""
    check = check_class()
    check.add_error("of before")
    check.run_check()
    assert (check.errors, check.status, check.pretty_status()) == ([], 1, "OK")
    assert 0 < check.time_taken < 60


@pytest.mark.parametrize("check_class", [Broken, AsyncBroken])
def test_run_check__health_check_exception(check_class: type[HealthCheck]) -> None:
    """A HealthCheckException becomes the check's error."""
    check = check_class()
    check.run_check()
    assert [type(error) for error in check.errors] == [ServiceUnavailable]
    assert (check.status, check.pretty_status()) == (0, "unavailable: Something went wrong!")
    assert check.time_taken > 0


def test_run_check__through_add_error() -> None:
    """An own ``add_error`` hears of what was raised."""
    heard: list[object] = []

    class Hearing(Broken):
        def add_error(self, error: object, cause: BaseException | None = None) -> None:
            heard.append(error)
            super().add_error(error, cause)

    check = Hearing()
    check.run_check()
    assert heard == check.errors != []


@pytest.mark.parametrize(
    ("check_class", "exception"), [(Blown, ZeroDivisionError), (Exiting, SystemExit), (BaseBlown, NoException)]
)
def test_run_check__anything_else(check_class: type[HealthCheck], exception: type[BaseException]) -> None:
    """What nobody expected comes out, with the time that it took."""
    check = check_class()
    with pytest.raises(exception):
        check.run_check()
    assert check.time_taken > 0


class Collecting(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))


@pytest.mark.parametrize("name", ["health_check", "health-check"])
def test_run_check__logs_the_unexpected(name: str) -> None:
    """The traceback of what nobody expected is logged where both versions' users look for it."""
    handler = Collecting()
    logging.getLogger(name).addHandler(handler)
    try:
        with pytest.raises(ZeroDivisionError):
            Blown().run_check()
    finally:
        logging.getLogger(name).removeHandler(handler)
    assert len(handler.texts) == 1
    assert "Blown" in handler.texts[0]
    assert "Traceback" in handler.texts[0]


def test_run_check__async_inside_a_running_loop() -> None:
    """An async check runs to its end even where a loop runs in this thread."""

    async def main() -> HealthCheck:
        check = AsyncBroken()
        check.run_check()
        return check

    assert asyncio.run(main()).status == 0


def test_run_check__awaitable_of_a_sync_method() -> None:
    """What a decorated async method returns is awaited."""

    class Decorated(HealthCheck):
        def check_status(self) -> Awaitable[None]:
            return AsyncBroken.check_status(self)  # type: ignore[arg-type]

    check = Decorated()
    check.run_check()
    assert check.status == 0


def test_arun_check__on_the_running_loop() -> None:
    """An async check runs on the loop that awaits it."""
    loops: list[object] = []

    class Looping(HealthCheck):
        async def check_status(self) -> None:
            loops.append(asyncio.get_running_loop())
            self.add_error("gone")

    async def main() -> tuple[object, HealthCheck]:
        check = Looping()
        await check.arun_check()
        return asyncio.get_running_loop(), check

    loop, check = asyncio.run(main())
    assert loops == [loop]
    assert (check.status, check.time_taken > 0) == (0, True)


class OwnRunCheck(AsyncFine):
    """Has a way of its own to run."""

    def run_check(self) -> None:
        self.errors = [HealthCheckException("of my own")]


def test_is_asynchronous__own_run_check_is_honoured() -> None:
    """A check goes to the event loop only if its own ``run_check`` would not be passed over there."""
    assert is_asynchronous(AsyncFine) is True
    assert is_asynchronous(Fine) is False
    assert is_asynchronous(OwnRunCheck) is False


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ("gone", HealthCheckException, "unknown error: gone"),
        (ServiceWarning("soon gone"), ServiceWarning, "warning: soon gone"),
        (ValueError("secret"), HealthCheckException, "unknown error"),
        (None, HealthCheckException, "unknown error"),
    ],
)
def test_add_error__what_it_takes(error: object, kind: type[HealthCheckException], text: str) -> None:
    """A text and a HealthCheckException are shown, of anything else only that it was there."""
    check = Fine()
    check.add_error(error)
    assert [type(found) for found in check.errors] == [kind]
    assert check.pretty_status() == text


def test_add_error__cause() -> None:
    """The exception behind an error stays with it, for the log."""
    check, cause = Fine(), ValueError("behind")
    check.add_error("gone", cause)
    assert check.errors[0].__cause__ is cause


def test_add_error__keeps_the_cause_of_what_was_raised() -> None:
    """``raise … from`` keeps its cause through ``run_check``."""
    cause = ValueError("behind")

    class Caused(HealthCheck):
        def check_status(self) -> None:
            raise ServiceUnavailable("gone") from cause

    check = Caused()
    check.run_check()
    assert check.errors[0].__cause__ is cause


def test_pretty_status__a_line_each() -> None:
    """Several errors are several lines."""
    check = TwiceBroken()
    check.run_check()
    assert check.pretty_status() == "unavailable: Something went wrong!\nunexpected result: Something else, too."


def test_repr__class_name_or_own() -> None:
    """A check is called by its class, or as a dataclass or its user says; never by critical_service or errors."""

    class Own(HealthCheck):
        def __repr__(self) -> str:
            return "mine"

    assert (repr(Fine()), repr(Own())) == ("Fine", "mine")
    assert repr(Alias("x")) == "Alias(alias='x')"


def test_repr__identifier_is_deprecated() -> None:
    """``identifier()`` still names a check, with a warning that says what to write instead."""

    class Identified(HealthCheck):
        def identifier(self) -> str:
            return "the old name"

    with pytest.warns(DeprecationWarning, match=r"Identified\.identifier\(\).*__repr__"):
        assert repr(Identified()) == "the old name"


@pytest.mark.parametrize("name", ["BaseHealthCheck", "BaseHealthCheckBackend"])
def test_module__old_base_classes(name: str) -> None:
    """The names of version 3.x before 3.2x still work, with a warning."""
    with pytest.warns(DeprecationWarning, match=name):
        base: Any = getattr(backends, name)
    assert base is HealthCheck


def test_module__unknown_name() -> None:
    """A name that was never there is not made up."""
    with pytest.raises(AttributeError, match="nonsense"):
        backends.nonsense  # noqa: B018
