"""The check of a Memcached server."""

from __future__ import annotations

import contextlib
import dataclasses

from health_check.checks.clients import ServiceCheck, needs
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

with needs("pymemcache", extra="memcached", what="health_check.contrib.memcached"):
    from pymemcache import Client, MemcacheError, MemcacheUnexpectedCloseError, MemcacheUnknownCommandError


@dataclasses.dataclass(repr=False)
class Memcached(ServiceCheck):
    """Check that a Memcached server answers.

    Verifies that a connection can be made, and that the server answers with its version. Reads and writes no key. That
    costs the server a connection and a command a run. ``health_check.Cache`` verifies that values are kept.

    Args:
        server: The server, ``HOST:PORT``, or the path of a socket; default ``"127.0.0.1:11211"``.
    """

    server: str = dataclasses.field(default="127.0.0.1:11211", repr=False)

    def check_status(self) -> None:
        seconds = self.client_timeout()
        try:
            client = Client(self.server, connect_timeout=seconds, timeout=seconds)
        except ValueError as error:
            raise ServiceUnavailable("the option `server` of Memcached cannot be used: use HOST:PORT") from error
        try:
            version = client.version()
        except TimeoutError as error:
            raise ServiceUnavailable("Memcached did not answer in time") from error
        except OSError as error:
            raise ServiceUnavailable(f"cannot connect to Memcached ({type(error).__name__})") from error
        except MemcacheUnexpectedCloseError as error:
            raise ServiceUnavailable("Memcached closed the connection") from error
        except MemcacheUnknownCommandError as error:  # also the answer to a connection too many
            raise ServiceUnavailable("Memcached refuses commands, as it does when it has no connection left") from error
        except MemcacheError as error:
            raise ServiceReturnedUnexpectedResult(
                f"Memcached did not answer with its version ({type(error).__name__})"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                client.close()
        if not version:
            raise ServiceReturnedUnexpectedResult("Memcached did not answer with its version")
