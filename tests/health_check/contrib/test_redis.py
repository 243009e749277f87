"""The check of Redis, where no server is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from health_check.contrib.redis import Redis
from tests.support.checks import messages_of


def test_options__say_what_is_wrong(mount_checks: Callable[..., None]) -> None:
    """Without a server the page says what to set, and does not refer to the log."""
    mount_checks("redis.Redis")
    said = Client().get("/health/", {"format": "json"}).json()
    assert list(said.values()) == ["misconfigured: Redis takes one of the options `url` and `client_factory`"]


def test_client__is_deprecated() -> None:
    """A client that all runs share still works, with a warning that says what to use, and is not closed."""

    class Client:
        closed = False

        def execute_command(self) -> None:
            """Exist, as that of a client does."""

        def ping(self) -> bool:
            return True

        def close(self) -> None:
            self.closed = True

    client = Client()
    with pytest.warns(DeprecationWarning, match="use `client_factory`"):
        check = Redis(client=client)
    assert messages_of(check) == []
    assert not client.closed
