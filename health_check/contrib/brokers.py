"""How the checks of brokers connect: to each host once, in time, and with failures that are named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from amqp.exceptions import AccessRefused, NotAllowed
from kombu.exceptions import KombuError

from health_check.exceptions import ServiceUnavailable


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
    hosts = len(make().alt) or 1
    connection = make(**_limits(seconds / hosts))
    try:
        with _failures_named(connection, broker, "cannot connect to"):
            connection.ensure_connection(max_retries=hosts - 1, timeout=seconds, reraise_as_library_errors=False)
        with _failures_named(connection, broker, "lost the connection to"):
            yield connection
    finally:
        with contextlib.suppress(Exception):  # what is left of a connection that failed
            connection.release()


def _limits(seconds: float) -> dict[str, Any]:
    """Return the options, of AMQP's transport and of Redis's, that end waiting."""
    names = ("read_timeout", "write_timeout", "socket_timeout", "socket_connect_timeout")
    return {"connect_timeout": seconds, "transport_options": dict.fromkeys(names, seconds)}


@contextlib.contextmanager
def _failures_named(connection: Any, broker: str, failure: str) -> Iterator[None]:
    try:
        yield
    except AccessRefused as error:
        raise ServiceUnavailable(f"the login to {broker} was refused") from error
    except NotAllowed as error:
        raise ServiceUnavailable(f"{broker} refused the virtual host, or one more connection to it") from error
    except (*connection.connection_errors, *connection.channel_errors, KombuError, OSError) as error:
        name = type(error).__name__
        if isinstance(error, TimeoutError) or name == "TimeoutError":  # Redis has one of its own
            raise ServiceUnavailable(f"{broker} did not answer in time") from error
        raise ServiceUnavailable(f"{failure} {broker} ({name})") from error
