"""A load balancer in front of the hosts of a site, and clients that never stop asking it."""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import functools
import http.client
import pathlib
import time
from collections.abc import Iterator, Mapping

from tests.support.client import eventually, get, repeated
from tests.support.servers import running
from tests.support.services import require
from tests.support.small_servers import free_address

CLIENTS = 4
"""How many clients send one request after the other."""

PAUSE_SECONDS = 0.1
"""How long each rests after an answer, so that servers and commands get to work."""

ENOUGH = 20
"""How many requests to wait for, where some have to go by."""

CONFIGURATION = """
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
frontend site
    bind {address}
    stats enable
    stats uri /balancer
    default_backend hosts
backend hosts
    balance roundrobin
    option httpchk {probe}
    default-server check inter 200ms downinter 200ms fall 2 rise 2
    server east {east}
    server west {west}
"""
"""What the load balancer is told: it sends no request a second time, so that none that fails stays unseen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What the load balancer says of a host."""

    up: bool
    """Whether it sends requests there."""
    check: str
    """What came of the last probe."""
    sessions: int
    """How many requests it has sent there."""


class Balancer:
    """The load balancer.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}"

    def seen(self, name: str) -> Seen:
        """Return what it says of a host."""
        table = get(f"{self.url}/balancer;csv").body.removeprefix("# ").splitlines()
        (row,) = [row for row in csv.DictReader(table) if (row["pxname"], row["svname"]) == ("hosts", name)]
        return Seen(
            up=row["status"].startswith("UP"),
            check=f"{row['check_status'].removeprefix('* ')} {row['check_code']}".strip(),
            sessions=int(row["stot"]),
        )

    def await_ready(self, name: str) -> None:
        """Wait until it has probed a host, which is ready, and sends requests there."""
        eventually(lambda: "200" in self.seen(name).check, what=f"a probe of {name}")
        self.await_up(name)

    def await_up(self, name: str) -> None:
        """Wait until it sends requests to a host."""
        eventually(lambda: self.seen(name).up, what=f"{name} to be up")

    def await_down(self, name: str, check: str = "L7STS 503") -> None:
        """Wait until it sends no requests to a host, as the probes of that say so."""
        eventually(lambda: not (seen := self.seen(name)).up and check in seen.check, what=f"{check} of {name}")

    def await_requests(self, name: str) -> None:
        """Wait until a host has got some requests more."""
        before = self.seen(name).sessions
        eventually(lambda: self.seen(name).sessions >= before + ENOUGH, what=f"requests to {name}")


class Clients:
    """Clients of the site that never stop asking.

    Args:
        url: Where.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.outcomes: collections.Counter[object] = collections.Counter()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask meanwhile."""
        with contextlib.ExitStack() as stack:
            for number in range(CLIENTS):
                page = "slow" if number == 0 else "plain"
                stack.enter_context(repeated(functools.partial(self._ask, f"{self._url}/{page}/")))
            yield

    def _ask(self, url: str) -> None:
        time.sleep(PAUSE_SECONDS)
        try:
            outcome: object = get(url).status
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
        self.outcomes[outcome] += 1


@contextlib.contextmanager
def haproxy(folder: pathlib.Path, addresses: Mapping[str, str], *, probe: str = "GET /ready/") -> Iterator[Balancer]:
    """Run HAProxy in front of two hosts, until it has found both ready at least.

    Args:
        folder: Where its configuration and its output go.
        addresses: Where the hosts listen, by their names.
        probe: What it asks them for; without a method it uses OPTIONS.
    """
    program = require("haproxy", package="haproxy")
    address, file = free_address(), folder / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(address=address, probe=probe, **addresses))
    with running([program, "-db", "-f", file], folder):
        balancer = Balancer(address)
        for name in addresses:
            balancer.await_ready(name)
        yield balancer
