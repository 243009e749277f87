"""Checks for the tests: one for each way in which a check can end."""

from __future__ import annotations

import dataclasses

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable, ServiceWarning


def messages_of(check: HealthCheck) -> list[str]:
    """Run a check here and now, and return the texts of its errors."""
    check.run_check()
    return [str(error) for error in check.errors]


class Fine(HealthCheck):
    """Is in order."""

    def check_status(self) -> None:
        """Find nothing wrong."""


class AsyncFine(HealthCheck):
    """Is in order, asynchronously."""

    async def check_status(self) -> None:
        """Find nothing wrong."""


class Shaky(HealthCheck):
    """Warns."""

    def check_status(self) -> None:
        raise ServiceWarning("Not for long!")


class Broken(HealthCheck):
    """Is unavailable."""

    def check_status(self) -> None:
        raise ServiceUnavailable("Something went wrong!")


class AsyncBroken(HealthCheck):
    """Is unavailable, asynchronously."""

    async def check_status(self) -> None:
        raise ServiceUnavailable("Something went wrong!")


class TwiceBroken(HealthCheck):
    """Has two errors."""

    def check_status(self) -> None:
        self.add_error(ServiceUnavailable("Something went wrong!"))
        self.add_error(ServiceReturnedUnexpectedResult("Something else, too."))


class Blown(HealthCheck):
    """Raises what nobody expected."""

    def check_status(self) -> None:
        raise ZeroDivisionError("a text that nobody meant for readers")


class Exiting(HealthCheck):
    """Tries to end the process."""

    def check_status(self) -> None:
        raise SystemExit(3)


class NoException(BaseException):
    """Something that ``except Exception`` lets through."""


class BaseBlown(HealthCheck):
    """Raises a BaseException of its own."""

    def check_status(self) -> None:
        raise NoException("a text that nobody meant for readers")


class AsyncExiting(HealthCheck):
    """Tries to end the process, asynchronously."""

    async def check_status(self) -> None:
        raise SystemExit(3)


class Unbuildable(HealthCheck):
    """Cannot be constructed."""

    def __init__(self) -> None:
        raise ZeroDivisionError("a text that nobody meant for readers")


class ExitingAtConstruction(HealthCheck):
    """Tries to end the process while it is constructed."""

    def __init__(self) -> None:
        raise SystemExit(3)


class Unnameable(HealthCheck):
    """Cannot be named."""

    def check_status(self) -> None:
        """Find nothing wrong."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("a text that nobody meant for readers")


@dataclasses.dataclass(repr=False)
class Telling(HealthCheck):
    """Tells what it is told to."""

    message: str

    def check_status(self) -> None:
        self.add_error(ServiceUnavailable(self.message))


@dataclasses.dataclass
class Alias(HealthCheck):
    """Has an option that tells one from another."""

    alias: str = "default"

    def check_status(self) -> None:
        """Find nothing wrong."""
