"""The check of name resolution."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Sequence

from health_check.checks.clients import ServiceCheck, needs
from health_check.exceptions import ServiceUnavailable

with needs("dnspython", extra="dns", what="health_check.DNS"):
    import dns.exception
    import dns.nameserver
    import dns.rdatatype
    import dns.resolver


@dataclasses.dataclass(repr=False)
class DNS(ServiceCheck):
    """Check that names can be resolved.

    Verifies that a name server answers the query for a name with at least one record. Files like ``/etc/hosts`` do not
    count, and no answer of an earlier run does. That costs the name server a query a run, or one for each of the
    system's search domains where the name has none.

    Args:
        hostname: The name; default that of this host.
        nameservers: The name servers: addresses, the URLs of those that use HTTPS, or objects of
            ``dns.nameserver``, which may have another port; default those of the system.
        record_type: What kind of record to ask for; default ``"A"``.

    Raises:
        dns.rdatatype.UnknownRdatatype: If there is no such record type.
    """

    hostname: str = dataclasses.field(default_factory=socket.gethostname, repr=False)
    nameservers: Sequence[str | dns.nameserver.Nameserver] | None = dataclasses.field(default=None, repr=False)
    record_type: str = "A"

    def __post_init__(self) -> None:
        self.record_type = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.record_type))

    def check_status(self) -> None:
        try:
            resolver = dns.resolver.Resolver(configure=self.nameservers is None)
            if self.nameservers is not None:
                resolver.nameservers = list(self.nameservers)
            resolver.resolve(self.hostname, self.record_type, search=True, lifetime=self.client_timeout())
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
