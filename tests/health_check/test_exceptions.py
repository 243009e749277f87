"""What a check raises."""

import pytest

from health_check.exceptions import (
    HealthCheckException,
    Misconfigured,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)


@pytest.mark.parametrize(
    ("exception", "text"),
    [
        (HealthCheckException, "unknown error: no idea"),
        (ServiceWarning, "warning: no idea"),
        (ServiceUnavailable, "unavailable: no idea"),
        (Misconfigured, "misconfigured: no idea"),
        (ServiceReturnedUnexpectedResult, "unexpected result: no idea"),
    ],
)
def test_str__says_the_type_and_the_message(exception: type[HealthCheckException], text: str) -> None:
    """Each exception starts with its own words."""
    assert str(exception("no idea")) == text


def test_str__does_not_say_the_type_twice() -> None:
    """An error of which nothing is known is just that."""
    assert str(HealthCheckException("unknown error")) == "unknown error"
