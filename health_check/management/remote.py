"""What a running server says of an endpoint, asked as the command line says."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http.request import validate_host
from django.urls import get_script_prefix

from health_check.management.naming import path_of
from health_check.management.outcomes import Outcome, outcome_of_answer
from health_check.management.probe import UNIX, Answer, NoEndpointError, Transport, ask, url_of
from health_check.monitor import runtime

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""The hosts that Django allows with ``DEBUG`` where ALLOWED_HOSTS is empty."""


IN_FULL = "application/health+json, application/json;q=0.9"
"""What to ask a server for where more than texts is wanted."""


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
    urls = [f"{url_of(address, path)}{'?' if query else ''}{query}" for path in _paths(options["endpoint"])]
    answer = _first_answer(urls, address, options, in_full, tell)
    return outcome_of_answer(options["endpoint"], answer.status_code, answer.found)


def _first_answer(
    urls: Sequence[str], address: str, options: Mapping[str, Any], in_full: bool, tell: Callable[[str], object]
) -> Answer:
    """Return what a server says at the first of several URLs that a health endpoint of its answers at."""
    transport = Transport(
        unix_socket=address.removeprefix(UNIX) if address.startswith(UNIX) else None,
        server_name=options["server_name"],
        insecure=options["insecure"],
    )
    accept, timeout = IN_FULL if in_full else "application/json", options["timeout"]
    problem: NoEndpointError | None = None
    for url in urls:
        if options["verbosity"] > 1:
            tell(f"Asking {url}")
        try:
            return ask(url, headers=_headers(url, options), timeout=timeout, accept=accept, transport=transport)
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
