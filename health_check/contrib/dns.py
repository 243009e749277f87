"""The check of name resolution."""

from __future__ import annotations

import dataclasses
import datetime
import socket
from collections.abc import Sequence

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceUnavailable
from health_check.labels import ConciseRepr

try:
    import dns.exception
    import dns.resolver
except ImportError as error:
    raise ImportError("health_check.DNS needs dnspython: pip install 'django-health-exporter[dns]'") from error


@dataclasses.dataclass(repr=False)
class DNS(ConciseRepr, HealthCheck):
    """Check that names can be resolved.

    Verifies that a name server answers the query for a name with at least one record; caches are not asked. That
    costs the name server a query a run.

    Args:
        hostname: The name; default that of this host.
        nameservers: The addresses of the name servers; default those of the system.
        record_type: What kind of record to ask for; default ``"A"``.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    hostname: str = dataclasses.field(default_factory=socket.gethostname, repr=False)
    nameservers: Sequence[str] | None = dataclasses.field(default=None, repr=False)
    record_type: str = "A"
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        try:
            resolver = dns.resolver.Resolver(configure=self.nameservers is None)
            if self.nameservers is not None:
                resolver.nameservers = list(self.nameservers)
            resolver.resolve(self.hostname, self.record_type, lifetime=client_timeout(self))
        except dns.resolver.NXDOMAIN as error:
            raise ServiceUnavailable("the name does not exist") from error
        except dns.resolver.NoAnswer as error:
            raise ServiceUnavailable(f"the name has no {self.record_type} record") from error
        except dns.exception.Timeout as error:
            raise ServiceUnavailable("no name server answered in time") from error
        except dns.resolver.NoNameservers as error:
            raise ServiceUnavailable("no name server gave an answer") from error
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise ServiceUnavailable(f"the name cannot be resolved ({type(error).__name__})") from error
