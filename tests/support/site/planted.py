"""Secrets, planted wherever a site has some, and checks that give them away."""

from __future__ import annotations

import dataclasses

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable, ServiceWarning

SECRET = "pl4nted-hunter2"
"""What nobody may see: in no answer, no metric, no span, and no line of the log."""

PRIVATE = "a text that nobody meant for readers"
"""What only those may see who read the log."""

TOKEN = f"{SECRET}-token"
"""Lets in who has it."""

USER_TOKEN = f"{SECRET}-another-token"

DSN = f"postgres://shop:{SECRET}@db.example:5432/shop"

GUARDED = "Label of a guarded check"
"""What those may not see who are not let in."""

PLAIN_LABEL = "Telling"


class Raising(HealthCheck):
    """Raises what nobody expected, with a secret."""

    def check_status(self) -> None:
        raise ValueError(f"{PRIVATE}: login(user='shop', password={SECRET!r})")


class Telling(HealthCheck):
    """Tells how it logs in."""

    def check_status(self) -> None:
        self.add_error(ServiceUnavailable(f"cannot reach {DSN}"))
        self.add_error(ServiceReturnedUnexpectedResult(f'{{"api_key": "{SECRET}", "x": "<b>&"}}'))
        self.add_error(ServiceWarning(f"\x00\udcff token={SECRET}; Authorization: Bearer {SECRET}"))


class Chained(HealthCheck):
    """Fails for a reason that has reasons."""

    def check_status(self) -> None:
        try:
            try:
                raise LookupError(f"{PRIVATE}: {DSN}")
            except LookupError as error:
                raise ConnectionError(f"{PRIVATE}: PGPASSWORD={SECRET} psql") from error
        except ConnectionError as error:
            raise ServiceUnavailable(f"the service is gone (secret: {SECRET})") from error


class AsyncRaising(HealthCheck):
    """Raises what nobody expected, asynchronously."""

    async def check_status(self) -> None:
        raise RuntimeError(f"{PRIVATE}: {{'Authorization': 'Basic {SECRET}'}}")


class AsyncTelling(HealthCheck):
    """Tells how it logs in, asynchronously."""

    async def check_status(self) -> None:
        raise ServiceWarning(f"slow: amqp://shop:{SECRET}/?#@mq.example/vhost")


class Named(HealthCheck):
    """Is in order, but is called by what it knows."""

    def check_status(self) -> None:
        """Find nothing wrong."""

    def __repr__(self) -> str:
        return f"Named(url='redis://:{SECRET}@cache/0', api_key='{SECRET}')"


@dataclasses.dataclass
class Login(HealthCheck):
    """Shows its options."""

    user: str = "shop"
    password: str = SECRET

    def check_status(self) -> None:
        """Find nothing wrong."""


class Unbuildable(HealthCheck):
    """Cannot be constructed."""

    def __init__(self) -> None:
        raise ValueError(f"{PRIVATE}: {DSN}")


class Unnameable(HealthCheck):
    """Cannot be named."""

    def check_status(self) -> None:
        """Find nothing wrong."""

    def __repr__(self) -> str:
        raise ValueError(f"{PRIVATE}: {DSN}")


class Unprintable(HealthCheck):
    """Raises an exception that has no text."""

    def check_status(self) -> None:
        class UnprintableError(ServiceUnavailable):
            def __str__(self) -> str:
                raise ValueError(f"{PRIVATE}: {DSN}")

        raise UnprintableError("x")


class Fine(HealthCheck):
    """Is in order."""

    def check_status(self) -> None:
        """Find nothing wrong."""


HERE = "tests.support.site.planted"

CHECKS = [
    *(f"{HERE}.{name}" for name in ("Raising", "Telling", "Chained", "AsyncRaising", "AsyncTelling", "Named")),
    *(f"{HERE}.{name}" for name in ("Login", "Unbuildable", "Unnameable", "Unprintable")),
    (f"{HERE}.Fine", {"timeout": f"password={SECRET}", "name": "Wrong timeout"}),
    (f"{HERE}.Fine", {"nonsense": SECRET}),
    ("health_check.Cache", {"alias": "planted", "timeout": 1}),
    ("health_check.Database", {"alias": "planted", "timeout": 1}),
]
"""Checks of all kinds of failure."""
