"""The check of Memcached, against a real one."""

from __future__ import annotations

import contextlib
import pathlib
import socket
from collections.abc import Iterator

import pytest
from pymemcache import Client

from health_check.contrib.memcached import Memcached
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.client import eventually
from tests.support.servers import running
from tests.support.services import require

pytestmark = pytest.mark.server

CONNECTIONS = 32
"""How many the server takes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Memcached with few connections."""
    with memcached_server(tmp_path_factory.mktemp("memcached"), "-c", str(CONNECTIONS)) as server:
        yield server


REFUSALS = {
    "unavailable: Memcached refuses commands, as it does when it has no connection left",
    "unavailable: Memcached closed the connection",
    "unavailable: cannot connect to Memcached (ConnectionResetError)",
    "unavailable: cannot connect to Memcached (BrokenPipeError)",
}
"""What a server that takes no more connections comes to: it says so and hangs up, in whichever order that arrives."""


def check_of(server: CacheServer) -> Memcached:
    """Return a check of it."""
    return Memcached(server.location, timeout=BUDGET_SECONDS)


@pytest.fixture
def service(server: CacheServer) -> Service:
    """Memcached, and the check of it."""

    def left() -> dict[str, int]:
        with contextlib.closing(Client(server.location)) as client:
            known = client.stats()
        return {name: known[name.encode()] for name in ("curr_connections", "cmd_set", "curr_items")}

    return Service(
        server=server,
        build=lambda: check_of(server),
        silent="unavailable: Memcached did not answer in time",
        gone=r"unavailable: cannot connect to Memcached \(ConnectionRefusedError\)",
        left=left,
    )


class TestContract(Contract):
    """The check of a Memcached."""


def test_check__out_of_connections(server: CacheServer) -> None:
    """A server without a connection left is told, until there is one."""
    with contextlib.ExitStack() as stack:
        for _ in range(2 * CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), BUDGET_SECONDS))
        [error] = eventually(lambda: errors_of(check_of(server)), what="a refusal")
    assert error in REFUSALS
    eventually(lambda: errors_of(check_of(server)) == [], what="a server in order")


def test_check__by_socket(tmp_path: pathlib.Path) -> None:
    """A server may be named by the path of its socket."""
    place = tmp_path / "s"
    check = Memcached(str(place), timeout=BUDGET_SECONDS)
    assert errors_of(check) == ["unavailable: cannot connect to Memcached (FileNotFoundError)"]
    command = [require("memcached", package="memcached"), "-s", str(place), "-u", "root"]
    with running(command, tmp_path):
        eventually(lambda: errors_of(check) == [], what="a server in order")


def test_check__something_else(tmp_path: pathlib.Path) -> None:
    """What answers in another way is no Memcached."""
    with redis_server(tmp_path) as other:
        assert errors_of(Memcached(f"127.0.0.1:{other.port}", timeout=BUDGET_SECONDS)) == [
            "unexpected result: Memcached did not answer with its version (MemcacheUnknownError)",
        ]
