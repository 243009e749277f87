"""A mail server for tests: aiosmtpd, on loopback ports of its own, to be paused, killed and started again.

The module itself is the program of its process; it takes no mail, and few connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import pathlib
import ssl
import sys
from collections.abc import Mapping

import psutil
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.servers import Served, await_output, free_port

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

    certificate: pathlib.Path
    """Its certificate, for 127.0.0.1."""
    ports: Mapping[str, int]
    """Its ports on 127.0.0.1 by their kinds, the same whenever it is started again."""

    def start(self) -> None:
        """Start it, and wait until it listens."""
        arguments = [str(self.certificate), *(str(self.ports[kind]) for kind in KINDS)]
        self.run(sys.executable, "-m", __name__, *arguments)
        await_output(self.server, "It listens")

    def open_files(self) -> int:
        """Return how many files it has open, connections among them."""
        return psutil.Process(self.server.process.pid).num_fds()


def mail_server(folder: pathlib.Path, certificate: pathlib.Path) -> contextlib.AbstractContextManager[MailServer]:
    """Run a mail server.

    Args:
        folder: Where its output goes.
        certificate: Its certificate.
    """
    return MailServer(folder=folder, certificate=certificate, ports={kind: free_port() for kind in KINDS}).started()


REFUSAL = b"421 4.7.0 planted.example has too many connections\r\n"

_sessions: set[Counted] = set()


class Counted(SMTP):
    """A session that counts among the connections until it is over."""

    def connection_lost(self, error: Exception | None) -> None:
        _sessions.discard(self)
        super().connection_lost(error)


class Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(REFUSAL)
        transport.close()


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object) -> AuthResult:
    """Let in whom the tests know; who is refused hears who it is."""
    if login == LoginPassword(USER.encode(), PASSWORD.encode()):
        return AuthResult(success=True, auth_data=login)
    return AuthResult(success=False, handled=False, message=f"535 5.7.8 {USER} has another password at planted.example")


def few() -> asyncio.Protocol:
    """Return a session without TLS, or a refusal where there are enough."""
    if len(_sessions) >= CONNECTIONS:
        return Refused()
    session = Counted(Sink(), hostname="planted.example", auth_require_tls=False, authenticator=authenticate)
    _sessions.add(session)
    return session


def starting_tls(context: ssl.SSLContext) -> asyncio.Protocol:
    """Return a session that has to ask for TLS."""
    return SMTP(
        Sink(), hostname="planted.example", tls_context=context, require_starttls=True, authenticator=authenticate
    )


def in_tls() -> asyncio.Protocol:
    """Return a session on what is encrypted from the start."""
    return SMTP(Sink(), hostname="planted.example", auth_require_tls=False, authenticator=authenticate)


async def serve(certificate: str, plain: int, starttls: int, tls: int) -> None:
    """Listen on the ports until the process is ended.

    Args:
        certificate: The file of its certificate and key.
        plain: The port without TLS.
        starttls: The port on which the client has to start TLS.
        tls: The port of TLS alone.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    await loop.create_server(few, "127.0.0.1", plain)
    await loop.create_server(functools.partial(starting_tls, context), "127.0.0.1", starttls)
    await loop.create_server(in_tls, "127.0.0.1", tls, ssl=context)
    print("It listens")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], *map(int, sys.argv[2:])))
