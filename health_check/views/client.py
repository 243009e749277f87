"""The client: the address of who asks, as the server and the proxies before it report it."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable

from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX = "unix"
"""What stands for a unix socket where proxies are listed."""

UNIX_PEERS = ("", "localhost")
"""What servers say of a client at a unix socket: gunicorn and uvicorn nothing, waitress the latter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Client:
    """Who asks."""

    address: Address | None = None
    """The address; None where it is not known."""
    kind: str = ""
    """Why the address is not known, in a word."""
    problem: str = ""
    """The same in a sentence, with the remedy."""


def client_of(request: HttpRequest, proxies: Iterable[Network | str]) -> Client:
    """Return who asks: the last address that no trusted proxy has.

    Args:
        request: The request.
        proxies: The networks of the proxies whose ``X-Forwarded-For`` is trusted; ``"unix"`` for those that
            ask by a unix socket.
    """
    peer, forwarded = _peer_of(request), str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
    address = None
    for text in (peer, *(reversed(forwarded.split(",")) if forwarded.strip() else ())):
        try:
            address = _hop(text)
        except ValueError:
            return Client(kind="address", problem=f"X-Forwarded-For has {text.strip()[:60]!r}, which is not an address")
        if address is None and UNIX not in proxies:
            return Client(kind="unix", problem="it came by a unix socket: add 'unix' to PROXIES if a proxy sent it")
        if address is not None and not is_in(address, proxies):
            return Client(address=address)
    if address is None:
        return Client(kind="forwarded", problem="it came by a unix socket, and without X-Forwarded-For")
    return Client(address=address)


def is_forwarded_untold(request: HttpRequest, proxies: Iterable[Network | str]) -> bool:
    """Return whether a request has an ``X-Forwarded-For`` that is ignored, as its peer is no trusted proxy."""
    address = _hop(_peer_of(request)) if "HTTP_X_FORWARDED_FOR" in request.META else None
    return address is not None and not is_in(address, proxies)


def is_in(address: Address, networks: Iterable[Network | str]) -> bool:
    """Return whether an address is in one of some networks."""
    return any(
        not isinstance(network, str) and address.version == network.version and address in network
        for network in networks
    )


def network_of(text: str) -> Network:
    """Return a network; one of IPv4 addresses written in IPv6 is that of the IPv4 addresses.

    Raises:
        ValueError: If the text is none.
    """
    network = ipaddress.ip_network(text, strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def _peer_of(request: HttpRequest) -> str:
    """Return who is at the other end of the connection; ``unix:``, as nginx writes it, for a unix socket."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    return "unix:" if peer in UNIX_PEERS else peer


def _hop(text: str) -> Address | None:
    """Return the address that a proxy wrote; None for a unix socket.

    Azure's Application Gateway, IIS and (if so configured) Amazon's load balancers add the port, the latter two with
    IPv6 addresses in brackets; servers in Go keep the zone, those in Node.js write IPv4 addresses in IPv6; quotation
    marks are those of ``Forwarded`` (RFC 7239, §6); nginx writes ``unix:``.

    Raises:
        ValueError: If it is not an address.
    """
    text = text.strip().strip('"')
    if text.startswith("unix:"):
        return None
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not (port[0] == ":" and port[1:].isdecimal())):
            raise ValueError("no address in brackets")
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isdecimal():
            raise ValueError("no port")
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
