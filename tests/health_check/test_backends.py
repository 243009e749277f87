"""The check as django-health-check 3.2x, and 4.x, promise it to their users."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import logging
import logging.handlers
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from pytest_django import Settings

import health_check
from health_check import backends, base
from health_check.backends import HealthCheck, is_asynchronous, status_method_name
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


class Skipping(Fine):
    """Has an ``__init__`` that leaves the one above out."""

    def __init__(self, host: str) -> None:
        self.host = host


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


@dataclasses.dataclass
class Sync(HealthCheck):
    """Does what it is told, in sync code, as checks of version 4.x do."""

    error: BaseException | None = None

    def run(self) -> str:
        if self.error is not None:
            raise self.error
        return "whatever"


@dataclasses.dataclass
class Async(HealthCheck):
    """Does what it is told, in async code."""

    error: BaseException | None = None

    async def run(self) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("check_class", [Fine, AsyncFine, Sync, Async])
def test_run_check__ok(check_class: type[HealthCheck]) -> None:
    """A run without errors is OK, whatever it returns, takes time, and forgets the errors before."""
    check = check_class()
    check.add_error("of before")
    check.run_check()
    assert (check.errors, check.status, check.pretty_status()) == ([], 1, "OK")
    assert 0 < check.time_taken < 60


GONE = ServiceUnavailable("gone")


@pytest.mark.parametrize("check", [Broken(), AsyncBroken(), Sync(error=GONE), Async(error=GONE)])
def test_run_check__health_check_exception(check: HealthCheck) -> None:
    """A HealthCheckException becomes the check's error."""
    check.run_check()
    assert [type(error) for error in check.errors] == [ServiceUnavailable]
    assert (check.status, check.pretty_status().partition(":")[0]) == (0, "unavailable")
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
    ("check", "exception"),
    [
        (Blown(), ZeroDivisionError),
        (Exiting(), SystemExit),
        (BaseBlown(), NoException),
        (Sync(error=ZeroDivisionError()), ZeroDivisionError),
        (Async(error=ZeroDivisionError()), ZeroDivisionError),
    ],
)
def test_run_check__anything_else(check: HealthCheck, exception: type[BaseException]) -> None:
    """What nobody expected comes out, with the time that it took."""
    with pytest.raises(exception):
        check.run_check()
    assert check.time_taken > 0


@pytest.mark.parametrize("name", ["health_check", "health-check"])
def test_run_check__logs_the_unexpected(name: str) -> None:
    """The traceback of what nobody expected is logged where both versions' users look for it."""
    handler = logging.handlers.BufferingHandler(99)
    logging.getLogger(name).addHandler(handler)
    try:
        with pytest.raises(ZeroDivisionError):
            Blown().run_check()
    finally:
        logging.getLogger(name).removeHandler(handler)
    (record,) = handler.buffer
    assert [word for word in ("Blown", "Traceback") if word not in record.getMessage()] == []


class Decorated(HealthCheck):
    """Returns an awaitable from a sync method, as some decorators do."""

    def check_status(self) -> Awaitable[None]:
        return AsyncBroken.check_status(self)  # type: ignore[arg-type]


@pytest.mark.parametrize("check_class", [AsyncBroken, Decorated])
def test_run_check__waits_for_its_end(check_class: type[HealthCheck]) -> None:
    """An awaitable is awaited to its end, with or without a loop that runs in this thread."""

    async def main() -> HealthCheck:
        check = check_class()
        check.run_check()
        return check

    check = check_class()
    check.run_check()
    assert check.status == asyncio.run(main()).status == 0


def test_arun_check__on_the_running_loop() -> None:
    """An async check runs on the loop that awaits it."""

    class Looping(HealthCheck):
        async def check_status(self) -> None:
            self.add_error(f"on {id(asyncio.get_running_loop())}")

    async def main() -> None:
        looping, of_version_4 = Looping(), Async(error=GONE)
        await looping.arun_check()
        await of_version_4.arun_check()
        assert looping.pretty_status().endswith(f"on {id(asyncio.get_running_loop())}")
        assert (of_version_4.status, of_version_4.time_taken > 0) == (0, True)

    asyncio.run(main())


class OwnRunCheck(AsyncFine):
    """Has a way of its own to run."""

    def run_check(self) -> None:
        self.errors = [HealthCheckException("of my own")]


@pytest.mark.parametrize(
    ("check_class", "expected"),
    [(AsyncFine, True), (Fine, False), (OwnRunCheck, False), (Async, True), (Sync, False)],
)
def test_is_asynchronous(check_class: type[HealthCheck], expected: bool) -> None:
    """A check goes to the event loop only if its own ``run_check`` would not be passed over there."""
    assert is_asynchronous(check_class) is expected


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
    """The exception behind an error stays with it, for the log, also through ``raise … from``."""
    cause = ValueError("behind")

    class Caused(HealthCheck):
        def check_status(self) -> None:
            self.add_error("gone", cause)
            raise ServiceUnavailable("gone") from cause

    check = Caused()
    check.run_check()
    assert [error.__cause__ for error in check.errors] == [cause, cause]


def test_pretty_status__a_line_each() -> None:
    """Several errors are several lines."""
    check = TwiceBroken()
    check.run_check()
    assert check.pretty_status() == "unavailable: Something went wrong!\nunexpected result: Something else, too."


def test_repr__class_name_or_own() -> None:
    """A check is called by its class, or as a dataclass or its user says, also by the ``identifier()`` of 3.x."""

    class Own(HealthCheck):
        def __repr__(self) -> str:
            return "mine"

    class Identified(HealthCheck):
        def identifier(self) -> str:
            return "the old name"

    assert (repr(Fine()), repr(Own()), repr(Alias("x"))) == ("Fine", "mine", "Alias(alias='x')")
    with pytest.warns(DeprecationWarning, match=r"Identified\.identifier\(\).*__repr__"):
        assert repr(Identified()) == "the old name"


@pytest.mark.parametrize("name", ["BaseHealthCheck", "BaseHealthCheckBackend"])
def test_module__base_classes(name: str) -> None:
    """The names of version 3.x before 3.2x still work, with a warning, and where version 4.x has it is ours."""
    with pytest.warns(DeprecationWarning, match=name):
        old: Any = getattr(backends, name)
    assert old is base.HealthCheck is health_check.HealthCheck is HealthCheck
    with pytest.raises(AttributeError, match="nonsense"):
        backends.nonsense  # noqa: B018


@dataclasses.dataclass
class OwnTimeout(HealthCheck):
    """Reads a timeout of its own, as the client checks of version 4.x do."""

    hostname: str
    timeout: datetime.timedelta = dataclasses.field(default=datetime.timedelta(seconds=3), repr=False)

    async def run(self) -> None:
        raise ServiceUnavailable(f"{self.hostname} after {self.timeout.total_seconds():g} s")


class BaseTimeout(HealthCheck):
    """Reads the timeout that the base class of version 4.x has."""

    def run(self) -> None:
        raise ServiceUnavailable(f"after {self.timeout.total_seconds():g} s")


def test_run__reads_its_timeout() -> None:
    """``self.timeout.total_seconds()`` works with a field of the check's own and with that of the base class."""
    own, inherited = OwnTimeout("shop"), BaseTimeout()
    own.run_check()
    inherited.run_check()
    assert own.pretty_status() == "unavailable: shop after 3 s"
    assert inherited.pretty_status() == "unavailable: after 5 s"


def test_status_method_name__check_status_comes_first() -> None:
    """A check that overrides ``check_status`` may have a ``run`` for something else."""

    class Older(HealthCheck):
        def check_status(self) -> None:
            """Find nothing wrong."""

        def run(self) -> None:
            raise AssertionError("not meant for us")

    Older().run_check()
    assert status_method_name(Older) == "check_status"
    assert status_method_name(Sync) == "run"


def test_run__not_callable_is_no_check() -> None:
    """An attribute ``run`` that is no method makes no check."""

    class Data(HealthCheck):
        run = "daily"

    with pytest.raises(NotImplementedError):
        Data().run_check()


class Bare(HealthCheck):
    """Says it as a bare attribute."""

    critical_service = False


@dataclasses.dataclass
class BareDataclass(HealthCheck):
    """Says it as a bare attribute of a dataclass, beside a required field."""

    critical_service = False
    url: str


@dataclasses.dataclass
class Annotated(HealthCheck):
    """Says it as a field."""

    critical_service: bool = False


@dataclasses.dataclass
class ClassVariable(HealthCheck):
    """Says it as a class variable."""

    critical_service: ClassVar[bool] = False  # type: ignore[misc]


@dataclasses.dataclass(slots=True)
class SlotsClassVariable(HealthCheck):
    """Says it as a class variable of a class with slots."""

    critical_service: ClassVar[bool] = False  # type: ignore[misc]
    url: str = ""


@dataclasses.dataclass(slots=True)
class SlotsAnnotated(HealthCheck):
    """Says it as a field of a class with slots."""

    critical_service: bool = False


@dataclasses.dataclass
class DataclassOfBare(Bare):
    """Inherits it."""

    url: str = ""


class OfSlots(SlotsClassVariable):
    """Inherits it from a class with slots."""


@pytest.mark.parametrize(
    "construct",
    [
        Bare,
        lambda: BareDataclass("http://shop"),
        Annotated,
        ClassVariable,
        SlotsClassVariable,
        SlotsAnnotated,
        DataclassOfBare,
        OfSlots,
    ],
)
def test_critical_service__however_it_is_written(construct: Callable[[], HealthCheck]) -> None:
    """A class that says it is not critical makes instances that say so; else they are."""
    assert construct().critical_service is False
    assert Fine().critical_service is True


def test_critical_service__slots_refused() -> None:
    """A bare attribute that ``slots=True`` would lose is refused at the declaration, also of a parent."""
    with pytest.raises(TypeError, match=r"Slotted: .*ClassVar\[bool\] = False.*leave slots=True out"):

        @dataclasses.dataclass(slots=True)
        class Slotted(HealthCheck):
            critical_service = False
            url: str = ""

    with pytest.raises(TypeError, match="critical_service"):
        dataclasses.make_dataclass("Child", [("url", str, "")], bases=(Bare,), slots=True)


def test_critical_service__bare_below_slots_holds_or_is_refused() -> None:
    """A bare attribute below a class with slots holds, or is refused loudly."""

    @dataclasses.dataclass(slots=True)
    class Parent(HealthCheck):
        url: str = ""

    try:
        child = type("Child", (Parent,), {"critical_service": False})
    except TypeError as error:
        assert "critical_service" in str(error)  # noqa: PT017 - one of two good ends
    else:
        assert child().critical_service is False
