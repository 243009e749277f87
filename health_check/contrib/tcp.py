"""The check of anything that listens for connections."""

from __future__ import annotations

import dataclasses
import socket
import time

from health_check.checks.clients import ServiceCheck
from health_check.exceptions import ServiceUnavailable

LEAST_SECONDS = 0.001
"""What the last addresses of a host still get where the first ones took all the time."""


@dataclasses.dataclass(repr=False)
class TCP(ServiceCheck):
    """Check that something accepts connections.

    Verifies that the host's name can be resolved, and that a connection is accepted at one of its addresses; sends
    and reads nothing. The operating system accepts connections also for a program that hangs. That costs the service
    a connection a run. Give each of several a ``name``.

    Args:
        host: The name or address of the host.
        port: The port.
    """

    host: str = dataclasses.field(repr=False)
    port: int

    def check_status(self) -> None:
        end = time.monotonic() + self.client_timeout()
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, ValueError, OverflowError) as error:
            raise ServiceUnavailable("the name of the host cannot be resolved") from error
        for number, (family, _, _, _, address) in enumerate(found, start=1):
            try:
                with socket.socket(family, socket.SOCK_STREAM) as connection:
                    connection.settimeout(max(LEAST_SECONDS, (end - time.monotonic()) / (len(found) - number + 1)))
                    connection.connect(address)
                return
            except (OSError, OverflowError) as error:
                if number == len(found):
                    how = "in time" if isinstance(error, TimeoutError) else f"({type(error).__name__})"
                    raise ServiceUnavailable(f"no connection was accepted {how}") from error
