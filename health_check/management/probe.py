"""The probe: asks a running server how an endpoint is, over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http.request import validate_host
from django.urls import get_script_prefix
from django.utils.encoding import iri_to_uri

from health_check.management.choice import path_of
from health_check.management.outcomes import Outcome, outcome_of_answer
from health_check.monitor import runtime
from health_check.ping import connect
from health_check.redaction import escaped, mask

BODY_BYTES = 4 * 1024 * 1024
"""How much of an answer is read at most."""

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""The hosts that Django allows with ``DEBUG`` where ALLOWED_HOSTS is empty."""

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


def ask_server(options: Mapping[str, Any], *, in_full: bool, tell: Callable[[str], object]) -> Outcome:
    """Ask a running server how an endpoint, or some checks of it, are.

    Args:
        options: Those of the command line.
        in_full: Whether more than texts is wanted.
        tell: Is called with the URLs that are asked.

    Raises:
        CommandError: If no path of the endpoint is known.
        ProbeError: If there is no answer in time, or not one of a health endpoint, or no such check.
    """
    unix = options["unix_socket"]
    address = f"{UNIX}{unix}" if unix else options["addrport"] or options["default_address"]
    query = urllib.parse.urlencode([("check", label) for label in options["labels"]])
    accept = "application/health+json, application/json;q=0.9" if in_full else "application/json"
    problem: NoEndpointError | None = None
    for path in _paths(options["endpoint"]):
        url = f"{url_of(address, path)}{'?' if query else ''}{query}"
        if options["verbosity"] > 1:
            tell(f"Asking {url}")
        try:
            status_code, found = ask(
                url,
                headers={"Accept": accept, **_headers(url, options)},
                timeout=options["timeout"],
                unix_socket=address.removeprefix(UNIX) if address.startswith(UNIX) else None,
                server_name=options["server_name"],
                insecure=options["insecure"],
            )
            return outcome_of_answer(options["endpoint"], status_code, found)
        except NoEndpointError as error:
            problem = problem or error
    raise problem or AssertionError("there is no URL")


def _paths(endpoint: str) -> Sequence[str]:
    """Return the paths at which a server may have an endpoint: the proxy may take the site's prefix off, or not."""
    path = path_of(runtime.get().catalogue, endpoint)
    if endpoint.startswith("/"):
        return [path]
    prefixes = dict.fromkeys(("", get_script_prefix().rstrip("/"), os.environ.get("SCRIPT_NAME", "").rstrip("/")))
    return [f"{prefix}{path}" for prefix in prefixes]


def _headers(url: str, options: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    host = (
        options["forwarded_host"] or options["server_name"] or _allowed_host(urllib.parse.urlsplit(url).hostname or "")
    )
    if host:
        headers |= {"Host": host, "X-Forwarded-Host": host}
    proxy_header = settings.SECURE_PROXY_SSL_HEADER
    protocol = options["forwarded_proto"] or ("https" if settings.SECURE_SSL_REDIRECT and proxy_header else None)
    if protocol:
        headers["X-Forwarded-Proto"] = protocol
    if protocol == "https" and proxy_header:
        name, value = proxy_header
        headers[name.removeprefix("HTTP_").replace("_", "-").title()] = value
    return headers


def _allowed_host(address: str) -> str | None:
    """Return a host name that the site accepts, or None if it accepts the address itself."""
    allowed = settings.ALLOWED_HOSTS or (DEBUG_HOSTS if settings.DEBUG else [])
    if not allowed or validate_host(f"[{address}]" if ":" in address else address, allowed):
        return None
    return str(allowed[0]).lstrip(".")


def ask(
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: float,
    unix_socket: str | None = None,
    server_name: str | None = None,
    insecure: bool = False,
) -> tuple[int, Mapping[str, Any]]:
    """Ask a server how an endpoint is, and return the HTTP status and the JSON of its answer.

    Args:
        url: The endpoint.
        headers: The request headers, with the media types to ask for in ``Accept``, each of them JSON.
        timeout: For how many seconds to wait for the answer.
        unix_socket: The server's socket in the file system; default its host and port.
        server_name: The name to ask for, and to verify, over TLS; default the host.
        insecure: Whether its certificate may be any.

    Raises:
        ProbeError: If there is no answer in time, or not one of a health endpoint.
    """
    until, parts = time.monotonic() + timeout, urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection  # by their ports
    try:
        with contextlib.closing(kind(parts.netloc, timeout=timeout)) as connection:
            connection.sock = connect(parts, timeout, unix_socket, server_name, insecure)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("GET", path, headers={"Connection": "close", **headers})
            with connection.getresponse() as response:
                return response.status, _understood(url, response, _read(response, until))
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


def _understood(url: str, response: http.client.HTTPResponse, body: bytes) -> Mapping[str, Any]:
    """Return the JSON of a health endpoint.

    Raises:
        ProbeError: If the answer is none of a health endpoint.
    """
    status, location = response.status, mask(response.headers.get("Location", ""))
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
    return found


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
    rest = f"127.0.0.1:{rest}" if rest.isdigit() else rest.removesuffix("/")
    origin = f"{scheme if separator else 'http'}://{f'[{rest}]' if _is_ipv6(rest) else rest}"
    try:
        parts = urllib.parse.urlsplit(origin)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        more = parts.path or parts.query or parts.fragment or parts.username is not None
    except ValueError:
        usable = more = None
    if more or not usable:
        raise ProbeError(f"{address!r} is not an address: use HOST:PORT, for example 127.0.0.1:8000.")
    return f"{origin}{iri_to_uri(path)}"


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
