"""The check of what listens for connections."""

from __future__ import annotations

import socket
import time

import pytest

from health_check.contrib.tcp import TCP
from tests.support.checks import messages_of
from tests.support.client import Lag

BUDGET_SECONDS = 1.0

LATE_SECONDS = 1.0
"""By how much a check may be late on a busy machine."""


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_check__ok(family: socket.AddressFamily, host: str) -> None:
    """A port that somebody listens on is in order."""
    if not socket.has_ipv6 and family is socket.AF_INET6:
        pytest.skip("This machine has no IPv6")
    with socket.create_server((host, 0), family=family) as listener:
        assert messages_of(TCP(host, listener.getsockname()[1])) == []
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""


def test_check__any_address_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with several addresses is in order if one of them is, whichever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        places = [("127.0.0.1", 1), address, ("127.0.0.1", 1)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
        assert messages_of(TCP("shop", address[1])) == []


def test_check__nobody_listens() -> None:
    """A port that nobody listens on is told, with the class of the system's error."""
    assert messages_of(TCP("127.0.0.1", 1)) == ["unavailable: no connection was accepted (ConnectionRefusedError)"]


@pytest.mark.parametrize(
    ("host", "port"),
    [
        *((host, 1) for host in ("planted.invalid", "planted" * 50, "planted..internal", "")),
        *(("127.0.0.1", port) for port in (-1, 65536, 10**20)),
    ],
)
def test_check__no_such_address(host: str, port: int) -> None:
    """A name that cannot be resolved is told without being shown, as is a number that is no port, or no name at all."""
    [error] = messages_of(TCP(host, port))
    assert error.startswith("unavailable: ")
    assert "planted" not in error


def test_check__full_backlog(monkeypatch: pytest.MonkeyPatch, lag: Lag) -> None:
    """Where nobody accepts in time, all addresses of the host together, that is told within the budget."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(address)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 3
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
        start = time.monotonic()
        assert messages_of(TCP("shop", address[1], timeout=BUDGET_SECONDS)) == [
            "unavailable: no connection was accepted in time"
        ]
        assert time.monotonic() - start < BUDGET_SECONDS + LATE_SECONDS + lag.slack
