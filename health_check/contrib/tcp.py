"""The check of anything that listens for connections."""

from __future__ import annotations

import dataclasses
import datetime
import socket

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceUnavailable
from health_check.labels import ConciseRepr


@dataclasses.dataclass(repr=False)
class TCP(ConciseRepr, HealthCheck):
    """Check that something accepts connections.

    Verifies that the host's name can be resolved, and that a connection is accepted; sends and reads nothing. That
    costs the service a connection a run. Give each of several a ``name``.

    Args:
        host: The name or address of the host.
        port: The port.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    host: str = dataclasses.field(repr=False)
    port: int
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        try:
            socket.create_connection((self.host, self.port), client_timeout(self)).close()
        except socket.gaierror as error:
            raise ServiceUnavailable("the name of the host cannot be resolved") from error
        except TimeoutError as error:
            raise ServiceUnavailable("no connection was accepted in time") from error
        except (OSError, OverflowError) as error:
            raise ServiceUnavailable(f"no connection was accepted ({type(error).__name__})") from error
