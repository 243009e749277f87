"""The check of what listens for connections."""

from __future__ import annotations

import socket
import time

import pytest

from health_check.contrib.tcp import TCP
from health_check.registry.definitions import label_of
from tests.support.client import Lag

BUDGET_SECONDS = 1.0

LATE_SECONDS = 1.0
"""By how much a check may be late on a busy machine."""


def errors_of(check: TCP) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_check__ok(family: socket.AddressFamily, host: str) -> None:
    """A port that somebody listens on is in order."""
    if not socket.has_ipv6 and family is socket.AF_INET6:
        pytest.skip("This machine has no IPv6")
    with socket.create_server((host, 0), family=family) as listener:
        assert errors_of(TCP(host, listener.getsockname()[1])) == []
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
        assert errors_of(TCP("shop", address[1])) == []


def test_check__nobody_listens() -> None:
    """A port that nobody listens on is told, with the class of the system's error."""
    assert errors_of(TCP("127.0.0.1", 1)) == ["unavailable: no connection was accepted (ConnectionRefusedError)"]


@pytest.mark.parametrize("host", ["planted.invalid", "planted" * 50, "planted..internal", ""])
def test_check__no_such_host(host: str) -> None:
    """A name that cannot be resolved is told, without being shown; no name at all leads to this very host."""
    [error] = errors_of(TCP(host, 1))
    assert error.startswith("unavailable: ")
    assert "planted" not in error


@pytest.mark.parametrize("port", [-1, 65536, 10**20])
def test_check__no_such_port(port: int) -> None:
    """A number that is no port is unavailable."""
    [error] = errors_of(TCP("127.0.0.1", port))
    assert error.startswith("unavailable: ")


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
        assert errors_of(TCP("shop", address[1], timeout=BUDGET_SECONDS)) == [
            "unavailable: no connection was accepted in time"
        ]
        assert time.monotonic() - start < BUDGET_SECONDS + LATE_SECONDS + lag.slack


def test_label__port_alone() -> None:
    """The label has the port, and no host."""
    assert label_of(TCP("planted.internal", 5432)) == "TCP(port=5432)"
