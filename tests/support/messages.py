"""What tests of the system checks need: views to mount, and the ids of what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import CheckMessage

from health_check.views import HealthCheckView


def ids(messages: Iterable[CheckMessage]) -> list[str]:
    """Return the ids of messages, after making sure that each helps."""
    messages = list(messages)
    assert all(message.hint for message in messages)
    return [str(message.id) for message in messages]


def view(*checks: object, **options: object) -> Callable[..., Any]:
    """Return a health view of these checks."""
    return HealthCheckView.as_view(checks=list(checks), **options)
