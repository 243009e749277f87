"""What the tests of checks look at: a secret is found wherever it is shown."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable

import pytest

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from tests.support.checked import errors_of, password_in, seen_of

PASSWORD = "planted-password-7d1f"


def of(check_status: Callable[[], object]) -> HealthCheck:
    """Return a check that does this."""

    class Check(HealthCheck):
        def check_status(self) -> None:
            check_status()

    return Check()


def refuse(text: str, cause: str) -> None:
    """Fail with a text, because of an exception with another one."""
    raise ServiceUnavailable(text) from ValueError(cause)


def test_errors_of__failure() -> None:
    """The errors are returned; the cause is in the log, with what looks like a secret masked."""
    check = of(lambda: refuse("the login was refused", f"amqp://shopkeeper:{PASSWORD}@broker.internal/"))
    assert errors_of(check) == ["unavailable: the login was refused"]
    assert "ValueError: amqp://***@broker.internal/" in seen_of(check).logged


@pytest.mark.parametrize(
    "leak",
    [
        lambda: refuse(f"no {PASSWORD}", ""),
        lambda: refuse("at 127.0.0.1", ""),
        lambda: refuse("the login was refused", f"no {PASSWORD}"),
        lambda: logging.getLogger("client").debug("sent %s", PASSWORD),
        lambda: 1 / 0,
    ],
    ids=["message", "address", "traceback", "log", "unexpected"],
)
def test_errors_of__leak(leak: Callable[[], object]) -> None:
    """What shows a secret, or ends in an exception that nobody expected, is no success."""
    with pytest.raises(AssertionError):
        errors_of(of(leak))


def test_password_in__base64() -> None:
    """A password is found in the headers of a login, too."""
    for name in ("", "a", "ab", "shopkeeper"):
        assert password_in(f"Authorization: Basic {base64.b64encode(f'{name}:{PASSWORD}'.encode()).decode()}")
        assert not password_in(f"Authorization: Basic {base64.b64encode(f'{name}:ordinary'.encode()).decode()}")
