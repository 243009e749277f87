"""What tests of the system checks need: views to mount, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import CheckMessage

from health_check.views import HealthCheckView
from tests.support.checks import Fine


class Asking(HealthCheckView):
    """Chooses its checks by the request."""

    def get_plugins(self) -> Iterable[Any]:
        yield self.request.path, Fine()


def ids(messages: Iterable[CheckMessage]) -> list[str]:
    """Return the ids of messages, after making sure that each helps."""
    messages = list(messages)
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


def assert_said(messages: Iterable[CheckMessage], *expected: tuple[str, ...]) -> None:
    """Assert what messages there are: of each the number, as in W001, and words that it or its hint has."""
    messages = list(messages)
    assert ids(messages) == [f"health_check.{number}" for number, *_ in expected]
    for message, (_, *words) in zip(messages, expected, strict=True):
        assert [word for word in words if word not in f"{message.msg} {message.hint}"] == []


def view(*checks: object, **options: object) -> Callable[..., Any]:
    """Return a health view of these checks."""
    return HealthCheckView.as_view(checks=list(checks), **options)
