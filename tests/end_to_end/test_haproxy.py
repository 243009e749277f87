"""Two hosts behind a load balancer: one after the other is drained, restarted and put back, and no request fails."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping

import pytest

from tests.support.balancing import Balancer, Clients, haproxy
from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually, get
from tests.support.readiness import READY, statuses_of_all
from tests.support.servers import Server, gunicorn, manage
from tests.support.site.configuration import Site
from tests.support.small_servers import free_address

pytestmark = pytest.mark.server

NAMES = ("east", "west")

WAIT_SECONDS = 5
"""What ``--wait`` is told: more than a second for the processes, and two probes of the load balancer."""


@dataclasses.dataclass(kw_only=True)
class Host:
    """A host of the site."""

    site: Site
    """Its part of the site."""
    address: str
    """Where the load balancer finds it."""
    stack: contextlib.ExitStack
    """Ends its server at the end of the test."""
    server: Server | None = None
    """Its server."""

    def start(self) -> Server:
        """Start its server, at the address it always has."""
        arguments = [f"--bind={self.address}", "--workers=1", "--threads=8", "--graceful-timeout=10"]
        self.server = self.stack.enter_context(gunicorn(self.site.folder, self.site.environment(), *arguments))
        return self.server

    def stop(self) -> None:
        """End its server as an operator does."""
        assert self.server is not None
        code, seconds = self.server.stop()
        print(f"stopped within {seconds:.2f} s")
        assert code == 0

    def status(self, path: str) -> int:
        """Return what it answers itself."""
        return get(f"http://{self.address}{path}").status

    def await_drained(self) -> None:
        """Wait until all its processes know that it is drained."""
        server = self.server
        assert server is not None
        eventually(lambda: statuses_of_all(server, "/ready/") == {503}, what="all processes to know")

    def drain(self, *arguments: str) -> None:
        """Run the command there."""
        done = manage(self.site, "health_drain", *arguments)
        assert done.returncode == 0, done.stderr


def site_of(name: str, folder: pathlib.Path, cache: CacheServer) -> Site:
    """Return a host's part of the site, with its records in a cache that all hosts share."""
    return Site(
        settings=READY,
        folder=folder / name,
        checks=["tests.support.site.checks.Counting"],
        caches={"default": cache.configuration()},
        health_check={
            "STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"host": name}},
        },
    )


@pytest.fixture
def hosts(tmp_path: pathlib.Path) -> Iterator[Mapping[str, Host]]:
    """Two hosts that serve the site."""
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(redis_server(tmp_path / "redis"))
        made = {name: Host(site=site_of(name, tmp_path, cache), address=free_address(), stack=stack) for name in NAMES}
        for host in made.values():
            host.start()
        yield made


def take_out(host: Host, name: str, balancer: Balancer, *arguments: str) -> None:
    """Drain a host, and assert that it gets no more requests, while it is alive and well."""
    balancer.await_requests(name)
    host.drain(*arguments)
    if not arguments:  # else the command has waited for long enough
        host.await_drained()
        balancer.await_down(name)
    assert not balancer.seen(name).up
    assert (host.status("/ready/"), host.status("/health/live/"), host.status("/health/")) == (503, 200, 200)


def restart(host: Host, name: str, other: str, balancer: Balancer) -> None:
    """Start its server anew, and assert that it stays out."""
    sessions = balancer.seen(name).sessions
    balancer.await_requests(other)
    host.stop()
    balancer.await_requests(other)
    host.start()
    assert (host.status("/ready/"), host.status("/health/live/")) == (503, 200)
    balancer.await_down(name)
    balancer.await_requests(other)
    assert balancer.seen(name).sessions == sessions


def test_drained_host__is_restarted_unnoticed(hosts: Mapping[str, Host], tmp_path: pathlib.Path) -> None:
    """No request fails while each host is drained, stopped, started and put back; it is alive all the while.

    To stop a server without draining fails requests, for as long as the load balancer does not know.
    """
    addresses = {name: host.address for name, host in hosts.items()}
    with haproxy(tmp_path, addresses) as balancer:
        clients = Clients(balancer.url)
        with clients.asking():
            for name, other, arguments in (("east", "west", []), ("west", "east", ["--wait", str(WAIT_SECONDS)])):
                take_out(hosts[name], name, balancer, *arguments)
                assert hosts[other].status("/ready/") == 200
                restart(hosts[name], name, other, balancer)
                hosts[name].drain("--undo")
                balancer.await_up(name)
                balancer.await_requests(name)
                assert balancer.seen(other).up
        print(f"outcomes of requests: {dict(clients.outcomes)}")
        assert set(clients.outcomes) == {200}
    (tmp_path / "default").mkdir()
    with haproxy(tmp_path / "default", addresses, probe="/ready/") as balancer:  # without a method: by OPTIONS
        hosts["east"].drain()
        balancer.await_down("east")
        clients = Clients(balancer.url)
        with clients.asking():
            balancer.await_requests("west")
            hosts["west"].stop()
            balancer.await_down("west", "L4CON")
        assert set(clients.outcomes) > {200}
