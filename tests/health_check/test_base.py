"""Checks that were written for django-health-check 4.x."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime

import pytest

import health_check
from health_check import backends, base
from health_check.backends import is_asynchronous, status_method_name
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable


def test_health_check__one_class() -> None:
    """Both places where version 4.x has its base class give ours."""
    assert base.HealthCheck is health_check.HealthCheck is backends.HealthCheck


@dataclasses.dataclass
class Sync(HealthCheck):
    """Does what it is told, in sync code."""

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


both = pytest.mark.parametrize("check_class", [Sync, Async])


@both
def test_run__returns(check_class: type[Sync | Async]) -> None:
    """A check that returns is OK, whatever it returns."""
    check = check_class()
    check.run_check()
    assert (check.status, check.pretty_status(), check.time_taken > 0) == (1, "OK", True)


@both
def test_run__raises(check_class: type[Sync | Async]) -> None:
    """A HealthCheckException is the check's error."""
    check = check_class(error=ServiceUnavailable("gone"))
    check.run_check()
    assert (check.status, check.pretty_status()) == (0, "unavailable: gone")


@both
def test_run__raises_anything_else(check_class: type[Sync | Async]) -> None:
    """What nobody expected comes out, as from ``check_status``."""
    with pytest.raises(ZeroDivisionError):
        check_class(error=ZeroDivisionError()).run_check()


def test_arun_check__awaits_run() -> None:
    """An async check of version 4.x runs on the loop that awaits it."""
    check = Async(error=ServiceUnavailable("gone"))
    asyncio.run(check.arun_check())
    assert check.status == 0


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


def test_is_asynchronous__run() -> None:
    """Whether ``run`` is async says where the check runs."""
    assert is_asynchronous(Async) is True
    assert is_asynchronous(Sync) is False


def test_run__not_callable_is_no_check() -> None:
    """An attribute ``run`` that is no method makes no check."""

    class Data(HealthCheck):
        run = "daily"

    with pytest.raises(NotImplementedError):
        Data().run_check()
