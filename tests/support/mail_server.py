"""The process of the mail server that ``tests.support.mail`` runs: it takes no mail, and few connections."""

from __future__ import annotations

import asyncio
import functools
import ssl
import sys

from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.mail import CONNECTIONS, PASSWORD, USER

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
