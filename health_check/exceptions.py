"""What a check raises, or hands to ``add_error``, to say what is wrong."""

from __future__ import annotations

import datetime


class HealthCheckException(Exception):
    """Report that a check failed.

    Only the text of this class and its subclasses is ever shown to a reader; it must not hold secrets.

    Args:
        message: What is wrong, for the people who read the page.
        timestamp: When it went wrong; the time of construction by default.
    """

    message_type: str = "unknown error"
    """The words in front of the message."""

    def __init__(self, message: object = "", *, timestamp: datetime.datetime | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.timestamp = timestamp or datetime.datetime.now(datetime.UTC)
        self._is_dated = timestamp is not None

    @property
    def stated_time(self) -> float | None:
        """When it went wrong, as stated where it was raised, Unix time in seconds; None if it was not stated."""
        try:
            return self.timestamp.timestamp() if self._is_dated else None
        except (AttributeError, OverflowError, ValueError):  # of a subclass that sets something else
            return None

    def __str__(self) -> str:
        message = str(self.message)
        if message in ("", self.message_type):
            return self.message_type
        return f"{self.message_type}: {message}"


class Misconfigured(HealthCheckException):
    """Report that a check cannot be run as the site configures it."""

    message_type = "misconfigured"


class ServiceWarning(HealthCheckException):
    """Report that a service works, but will soon fail if nothing is done."""

    message_type = "warning"


class StatusPageWarning(ServiceWarning):
    """Report incidents on a provider's status page; its time is that of the provider's last update."""


class ServiceUnavailable(HealthCheckException):
    """Report that a service cannot be used."""

    message_type = "unavailable"


class ServiceReturnedUnexpectedResult(HealthCheckException):
    """Report that a service answered, but not with what it should."""

    message_type = "unexpected result"
