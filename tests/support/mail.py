"""A mail server for tests: aiosmtpd, on loopback ports of its own, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Mapping

import psutil

from tests.support.servers import Served, await_output, free_port
from tests.support.web import Certificate

USER = "shopkeeper"
PASSWORD = "planted-password-7d1f"
"""Who may come in, and by which password; these must be shown nowhere."""

KINDS: Mapping[str, Mapping[str, bool]] = {
    "plain": {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False},
    "starttls": {"EMAIL_USE_TLS": True, "EMAIL_USE_SSL": False},
    "tls": {"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": True},
}
"""The kinds of ports that it has, and Django's settings for them."""

CONNECTIONS = 8
"""How many it takes on the port without TLS."""


@dataclasses.dataclass(kw_only=True)
class MailServer(Served):
    """A mail server, and how to reach it."""

    certificate: Certificate
    """Its certificate, for 127.0.0.1."""
    ports: Mapping[str, int]
    """Its ports on 127.0.0.1 by their kinds, the same whenever it is started again."""

    def start(self) -> None:
        """Start it, and wait until it listens."""
        arguments = [str(self.certificate.path), *(str(self.ports[kind]) for kind in KINDS)]
        command = [sys.executable, "-m", "tests.support.mail_server", *arguments]
        self.run(*command)
        await_output(self.server, "It listens")

    def open_files(self) -> int:
        """Return how many files it has open, connections among them."""
        return psutil.Process(self.server.process.pid).num_fds()


@contextlib.contextmanager
def mail_server(folder: pathlib.Path, certificate: Certificate) -> Iterator[MailServer]:
    """Run a mail server.

    Args:
        folder: Where its output goes.
        certificate: Its certificate.
    """
    server = MailServer(folder=folder, certificate=certificate, ports={kind: free_port() for kind in KINDS})
    with server.started():
        yield server
