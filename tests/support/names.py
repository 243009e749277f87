"""dnsmasq for tests: a name server with names of its own, on a loopback port, to be paused and killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib

import dns.exception
import dns.nameserver
import dns.resolver

from tests.support.servers import Served, free_port
from tests.support.services import require

DOMAIN = "planted.example"

SECONDS = 1.0
"""How long one look at the server may take."""

NAMES = (
    f"--local=/{DOMAIN}/",
    f"--host-record=shop.{DOMAIN},10.0.0.1",
    f"--cname=alias.{DOMAIN},shop.{DOMAIN}",
    f"--txt-record=text.{DOMAIN},hello",
    f"--mx-host={DOMAIN},shop.{DOMAIN},10",
)
"""What it knows: names of one domain, and nothing else."""


@dataclasses.dataclass(kw_only=True)
class NameServer(Served):
    """A name server, and how to reach it."""

    port: int = dataclasses.field(default_factory=free_port)
    """Its port on 127.0.0.1."""

    @property
    def address(self) -> dns.nameserver.Nameserver:
        """Its address, with the port."""
        return dns.nameserver.Do53Nameserver("127.0.0.1", self.port)

    def start(self) -> None:
        dnsmasq = require("dnsmasq", package="dnsmasq-base", folders=[pathlib.Path("/usr/sbin")])
        user = "root" if os.geteuid() == 0 else ""
        where = ["--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}"]
        alone = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--user={user}"]
        self.run(dnsmasq, *alone, *where, f"--pid-file={self.folder}/pid", *NAMES)
        self.await_answer(self._answers)

    def _answers(self) -> bool:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.address]
        with contextlib.suppress(dns.exception.DNSException):
            return bool(resolver.resolve(f"shop.{DOMAIN}", lifetime=SECONDS))
        return False
