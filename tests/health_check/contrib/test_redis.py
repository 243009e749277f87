"""The check of Redis, where no server is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.test import Client

from health_check.contrib.redis import Redis
from health_check.exceptions import Misconfigured
from health_check.registry.definitions import label_of

URL = "redis://:planted-password-7d1f@redis.internal:6379/0"


@pytest.mark.parametrize("options", [{}, {"url": URL, "client_factory": redis.Redis}])
def test_options__one_of_them(options: dict[str, object]) -> None:
    """It takes one way to the server, neither none nor two."""
    with pytest.raises(Misconfigured, match="one of the options `url` and `client_factory`"):
        Redis(**options)  # type: ignore[arg-type]


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
    check.run_check()
    assert check.errors == []
    assert not client.closed


@pytest.mark.parametrize("url", ["http://redis.internal", "redis.internal:6379"])
def test_url__that_cannot_be_used(url: str) -> None:
    """A URL of something else is told, and not shown."""
    check = Redis(url)
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "unavailable: the URL of Redis cannot be used: begin it with redis://, and percent-encode its password"
    ]


def test_label__no_host_and_no_secret() -> None:
    """The label is the same on every site."""
    assert label_of(Redis(URL)) == "Redis"
