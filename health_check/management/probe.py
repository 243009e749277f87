"""The probe: asks a running server how an endpoint is, over HTTP."""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from django.utils.encoding import iri_to_uri

from health_check.redaction import mask

BODY_BYTES = 4 * 1024 * 1024
"""How much of an answer is read at most."""


class ProbeError(Exception):
    """Tell why a server's answer could not be had or understood, and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said of an endpoint."""

    status_code: int
    """The HTTP status."""
    found: Mapping[str, Any]
    """Its JSON."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Let a redirect be the answer: following it would tell of another server."""


def ask(url: str, *, headers: Mapping[str, str], timeout: float, accept: str = "application/json") -> Answer:
    """Ask a server how an endpoint is.

    Args:
        url: The endpoint.
        headers: More request headers.
        timeout: For how many seconds to wait for the answer.
        accept: The media types to ask for, each of them JSON.

    Raises:
        ProbeError: If there is no answer in time, or not one of a health endpoint.
    """
    status, body, location = _fetch(url, {"Accept": accept, **headers}, timeout)
    if status in (301, 302, 303, 307, 308):
        https = "Add --forwarded-proto https, or give the address as https://HOST:PORT."
        other = "Check the path, its trailing slash, and whether the site asks for a login."
        remedy = https if location.startswith("https:") else other
        raise ProbeError(f"{url} redirects to {location} (HTTP {status}). {remedy}")
    if status in (401, 403, 404, 405, 406):
        raise ProbeError(f"{url} answers HTTP {status}: no health endpoint answers there. Check the path and the port.")
    if status == 400:
        raise ProbeError(f"{url} answers HTTP 400: the site may refuse this host name; add --forwarded-host NAME.")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProbeError(f"{url} answers HTTP {status}, but not with the JSON of a health endpoint.")
    return Answer(status_code=status, found=found)


def _fetch(url: str, headers: Mapping[str, str], timeout: float) -> tuple[int, bytes, str]:
    until = time.monotonic() + timeout
    try:
        with _open(url, headers, timeout) as response:
            return int(response.status or 0), _read(response, until), mask(response.headers.get("Location", ""))
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise ProbeError(f"{url} did not answer within {timeout:g} s.") from error
        raise ProbeError(f"{url} cannot be reached: {error.reason}. Is the server running there?") from error
    except TimeoutError as error:
        raise ProbeError(f"{url} did not answer within {timeout:g} s.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProbeError(f"{url} cannot be asked: {type(error).__name__}: {error}") from error


def _read(response: http.client.HTTPResponse | urllib.error.HTTPError, until: float) -> bytes:
    """Return the body.

    Raises:
        TimeoutError: If it is not there in time, even if it comes in drips.
    """
    body = b""
    while len(body) < BODY_BYTES and (part := response.read1(65536)):
        body += part
        if time.monotonic() > until:
            raise TimeoutError
    return body


def _open(url: str, headers: Mapping[str, str], timeout: float) -> http.client.HTTPResponse | urllib.error.HTTPError:
    """Return the response, whatever its status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the scheme is checked
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        return error
    return response


def url_of(address: str, path: str) -> str:
    """Return the URL of a path at an address.

    Args:
        address: ``HOST:PORT``, ``HOST``, ``PORT`` or ``[IPv6]:PORT``, with ``http://`` or ``https://`` in
            front if wanted.
        path: The absolute path.

    Raises:
        ProbeError: If the address is none of these.
    """
    scheme, separator, rest = address.rpartition("://")
    scheme = scheme if separator else "http"
    rest = f"127.0.0.1:{rest}" if rest.isdigit() else rest.removesuffix("/")
    if not _is_origin(f"{scheme}://{rest}"):
        raise ProbeError(f"{address!r} is no address: use HOST:PORT, for example 127.0.0.1:8000.")
    return f"{scheme}://{rest}{iri_to_uri(path)}"


def _is_origin(url: str) -> bool:
    """Tell whether a URL consists of scheme, host and maybe port alone."""
    try:
        parts = urllib.parse.urlsplit(url)
        port_is_usable = parts.port is None or parts.port > 0
    except ValueError:
        return False
    more = parts.path or parts.query or parts.fragment or parts.username is not None
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_usable and not more
