"""How the checks of brokers connect: to each host once, in time, and with failures that are named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from amqp.exceptions import AccessRefused, NotAllowed
from kombu.exceptions import KombuError
from kombu.utils.url import parse_url

from health_check.exceptions import ServiceUnavailable

LOGINS = ("AuthenticationError", "AuthenticationWrongNumberOfArgsError")
"""What Redis's client calls its errors where the login is refused."""

TIMEOUTS = ("read_timeout", "write_timeout", "socket_timeout", "socket_connect_timeout")
"""The options, of AMQP's transport and of Redis's, that end waiting."""


@contextlib.contextmanager
def connected(make: Callable[..., Any], seconds: float, broker: str) -> Iterator[Any]:
    """Yield a connection to a broker, and close it.

    kombu by itself would try again, after seconds of sleep, and wait for answers without end.

    Args:
        make: Makes the connection, of kombu's class, and takes the options of that.
        seconds: How long connecting, or any one answer, may take.
        broker: What to call the broker in messages.

    Raises:
        ServiceUnavailable: If it cannot be reached, or is lost.
    """
    connection = _made(make, seconds, broker)
    hosts = len(connection.alt) or 1
    try:
        with _failures_named(connection, broker, "cannot connect to"):
            connection.ensure_connection(max_retries=hosts - 1, timeout=seconds, reraise_as_library_errors=False)
        with _failures_named(connection, broker, "lost the connection to"):
            yield connection
    finally:
        with contextlib.suppress(Exception):  # what is left of a connection that failed
            connection.release()


def _made(make: Callable[..., Any], seconds: float, broker: str) -> Any:
    """Return a connection that is yet to be opened."""
    try:
        urls = make().alt
        for url in urls:
            parse_url(url)
        share = seconds / (len(urls) or 1)
        connection = make(connect_timeout=share, transport_options=dict.fromkeys(TIMEOUTS, share))
        connection.get_transport_cls()
    except ImportError as error:
        raise _missing(error, broker) from error
    except (ValueError, KeyError):  # whose text has a part of the URL in it: of a password with a slash, say
        raise ServiceUnavailable(
            f"the URL of {broker} cannot be used: it needs a scheme that is known, and its password percent-encoded"
        ) from None
    return connection


@contextlib.contextmanager
def _failures_named(connection: Any, broker: str, failure: str) -> Iterator[None]:
    lost, refused = (*connection.connection_errors, OSError), tuple(connection.channel_errors)
    try:
        yield
    except ImportError as error:  # of a transport that imports its client when it connects
        raise _missing(error, broker) from error
    except NotAllowed as error:
        raise ServiceUnavailable(f"{broker} refused the virtual host, or one more connection to it") from error
    except (*lost, *refused, KombuError) as error:
        name = type(error).__name__
        if isinstance(error, AccessRefused) or name in LOGINS:
            raise ServiceUnavailable(f"the login to {broker} was refused") from error
        if isinstance(error, refused) and not isinstance(error, lost):  # read-only, or full
            raise ServiceUnavailable(f"{broker} refused a command ({name})") from error
        if isinstance(error, TimeoutError) or name == "TimeoutError":  # Redis has one of its own
            raise ServiceUnavailable(f"{broker} did not answer in time") from error
        raise ServiceUnavailable(f"{failure} {broker} ({name})") from error


def _missing(error: ImportError, broker: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"a package that talks to {broker} is missing: {error.name or error}")
