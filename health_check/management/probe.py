"""The probe: asks a running server how an endpoint is, over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import ipaddress
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from django.utils.encoding import iri_to_uri

from health_check.redaction import escaped, mask

BODY_BYTES = 4 * 1024 * 1024
"""How much of an answer is read at most."""


UNIX = "unix:"
"""What an address begins with that is a socket in the file system."""

NO_CHECK = b"There is no check "
"""What an endpoint begins to say with of a check that it does not have."""

EVERY_ADDRESS = {
    "0.0.0.0": "127.0.0.1",  # noqa: S104 - never listened on by us
    "0": "127.0.0.1",
    "": "127.0.0.1",
    "*": "127.0.0.1",
    "::": "::1",
}
"""Where a server can be asked that listens at all addresses of its host."""


class ProbeError(Exception):
    """Report why a server's answer could not be had or understood, and what to do; what the server said is escaped."""

    def __str__(self) -> str:
        return escaped(super().__str__())


class NoEndpointError(ProbeError):
    """A server answers, but no health endpoint of its does at this path."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said of an endpoint."""

    status_code: int
    """The HTTP status."""
    found: Mapping[str, Any]
    """Its JSON."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transport:
    """How to get to a server."""

    unix_socket: str | None = None
    """The server's socket in the file system; default its host and port."""
    server_name: str | None = None
    """The name to ask for, and to verify, over TLS; default the host."""
    insecure: bool = False
    """Whether its certificate may be any."""

    def connect(self, parts: urllib.parse.SplitResult, timeout: float) -> socket.socket:
        """Return a connection.

        Raises:
            OSError: If there is none to be had.
        """
        if self.unix_socket is None:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            connection = socket.create_connection((str(parts.hostname), port), timeout)
        elif hasattr(socket, "AF_UNIX"):
            connection = socket.socket(socket.AF_UNIX)
        else:
            raise OSError("Python has no unix sockets on this system")
        try:
            if self.unix_socket is not None:
                connection.settimeout(timeout)
                connection.connect(self.unix_socket)
            return connection if parts.scheme == "http" else self._over_tls(connection, parts.hostname)
        except BaseException:
            connection.close()
            raise

    def _over_tls(self, connection: socket.socket, host: str | None) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection, server_hostname=self.server_name or host)


BY_PORT = Transport()


def ask(
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: float,
    accept: str = "application/json",
    transport: Transport = BY_PORT,
) -> Answer:
    """Ask a server how an endpoint is.

    Args:
        url: The endpoint.
        headers: More request headers.
        timeout: For how many seconds to wait for the answer.
        accept: The media types to ask for, each of them JSON.
        transport: How to get there.

    Raises:
        ProbeError: If there is no answer in time, or not one of a health endpoint.
    """
    status, body, location = _fetch(url, {"Accept": accept, **headers}, timeout, transport)
    if status in (301, 302, 303, 307, 308):  # not followed: that would be about another server
        https = "Add --forwarded-proto https, or give the address as https://HOST:PORT."
        other = "Check the path, its trailing slash, and whether the site asks for a login."
        remedy = https if location.startswith("https:") else other
        raise ProbeError(f"{url} redirects to {location} (HTTP {status}). {remedy}")
    if status == 404 and body.startswith(NO_CHECK):
        said = body.decode(errors="replace").strip()
        raise ProbeError(f"{url.partition('?')[0]} answers: {said} --list prints the labels.")
    if status in (401, 403, 404, 405, 406):
        raise NoEndpointError(
            f"{url} answers HTTP {status}: no health endpoint answers there. Check the path and the port."
        )
    if status == 400:
        raise ProbeError(f"{url} answers HTTP 400: the site may refuse this host name; add --forwarded-host NAME.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NoEndpointError(f"{url} answers HTTP {status}, but not with the JSON of a health endpoint.")
    return Answer(status_code=status, found=found)


def _fetch(url: str, headers: Mapping[str, str], timeout: float, transport: Transport) -> tuple[int, bytes, str]:
    until, parts = time.monotonic() + timeout, urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    try:
        with contextlib.closing(connection):
            connection.sock = transport.connect(parts, timeout)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("GET", path, headers={"Connection": "close", **headers})
            response = connection.getresponse()
            return response.status, _read(response, until), mask(response.headers.get("Location", ""))
    except TimeoutError as error:
        raise ProbeError(f"{url} did not answer within {timeout:g} s.") from error
    except ssl.SSLCertVerificationError as error:
        remedy = "Add --server-name NAME, as in its certificate, or --insecure."
        raise ProbeError(f"{url} has a certificate that is not valid: {error.verify_message}. {remedy}") from error
    except (ValueError, http.client.HTTPException) as error:
        raise ProbeError(f"{url} cannot be asked: {type(error).__name__}: {error}") from error
    except OSError as error:
        remedy = "Is the server running there? --no-http runs the checks without a server."
        raise ProbeError(f"{url} cannot be reached: {error}. {remedy}") from error


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """Return the body.

    Raises:
        TimeoutError: If it is not there in time, even if it comes byte by byte.
    """
    body = b""
    while len(body) < BODY_BYTES and (part := response.read1(65536)):
        body += part
        if time.monotonic() > until:
            raise TimeoutError
    return body


def address_of(host: str, port: str) -> str:
    """Return the address of a server that listens at a host and a port, as in ``$HOST`` and ``$PORT``."""
    host = host.removeprefix("[").removesuffix("]")
    if _is_ipv6(host):
        host = str(ipaddress.ip_address(host))  # "::" may be written at length
    host = EVERY_ADDRESS.get(host, host)
    return f"[{host}]:{port}" if _is_ipv6(host) else f"{host}:{port}"


def url_of(address: str, path: str) -> str:
    """Return the URL of a path at an address.

    Args:
        address: ``HOST:PORT``, ``HOST``, ``PORT`` or ``[IPv6]:PORT``, with ``http://`` or ``https://`` in
            front if wanted, or ``unix:PATH``.
        path: The absolute path.

    Raises:
        ProbeError: If the address is none of these.
    """
    if address.startswith(UNIX):
        address = "localhost"
    scheme, separator, rest = address.rpartition("://")
    scheme = scheme if separator else "http"
    rest = f"127.0.0.1:{rest}" if rest.isdigit() else rest.removesuffix("/")
    rest = f"[{rest}]" if _is_ipv6(rest) else rest
    if not _is_origin(f"{scheme}://{rest}"):
        raise ProbeError(f"{address!r} is not an address: use HOST:PORT, for example 127.0.0.1:8000.")
    return f"{scheme}://{rest}{iri_to_uri(path)}"


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_origin(url: str) -> bool:
    """Return whether a URL consists of scheme, host and maybe port alone."""
    try:
        parts = urllib.parse.urlsplit(url)
        port_is_usable = parts.port is None or parts.port > 0
    except ValueError:
        return False
    more = parts.path or parts.query or parts.fragment or parts.username is not None
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_usable and not more
