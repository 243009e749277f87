"""Checks that ask the server of their own process or site: they wait for an answer that waits for them."""

from __future__ import annotations

import contextlib
import sys
import urllib.parse

from django.conf import settings as django_settings
from django.http.request import validate_host
from django.urls import resolve

from health_check.concurrency import threads
from health_check.conf import settings
from health_check.registry.endpoints import endpoint_of
from health_check.runner.run import Run

ITSELF = "a check that asks a health endpoint of its own site waits for itself"

ARGUMENTS = ("fullurl", "req", "request", "url")
"""What clients of HTTP call the URL that they ask, or the request with it."""

CLIENTS = ("httpx", "requests", "urllib", "urllib3")
"""The packages whose requests are looked into."""


def look_for(runs: list[Run]) -> None:
    """Note for runs that take long whether they seem to ask the server of their own process or site.

    Waits for nothing: a thread of its own looks for it, as there may be many connections.
    """
    with contextlib.suppress(RuntimeError):  # there is no thread
        threads.start(lambda: _note(runs), "own-server")


def _note(runs: list[Run]) -> None:
    address = _connected_to()
    for run in runs:
        if address:  # by whom, cannot be known
            run.hint = f"meanwhile this process was connected to its own server at {address}: {ITSELF}"
        elif url := _asked_by(run.thread_id):
            run.hint = f"meanwhile it asked {url}, which seems to be of this site: {ITSELF}"


def _asked_by(thread_id: int) -> str:
    """Return which health endpoint a thread asks of this site, by way of a proxy, say; empty if none is seen.

    Looks at the arguments of the calls that are under way: what leaves a proxy does not show who asked it.
    """
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - it is documented, for such purposes
    while frame is not None:
        for value in (frame.f_locals.get(name) for name in ARGUMENTS):
            if url := _of_this_site(_url_of(value)):
                return url
        frame = frame.f_back
    return ""


def _url_of(value: object) -> str:
    if str(type(value).__module__).partition(".")[0] in CLIENTS:  # no code of the site's is run here
        value = str(getattr(value, "full_url", None) or getattr(value, "url", value))
    return value if isinstance(value, str) else ""


def _of_this_site(url: str) -> str:
    """Return a URL without what may be secret in it, if it leads to a host and a health endpoint of this site."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme not in ("http", "https") or not (_is_local(host) or validate_host(host, _hosts())):
            return ""
        is_ours = endpoint_of(resolve(parts.path, urlconf=settings.URLCONF)) is not None
    except Exception:  # it is no URL, or not of this site, or the URLconf cannot be imported
        return ""
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}{f':{port}' if port else ''}{parts.path}" if is_ours else ""


def _hosts() -> list[str]:
    return [host for host in django_settings.ALLOWED_HOSTS if host != "*"]


def _is_local(host: str) -> bool:
    """Return whether a host is this one, by a name or an address of its own."""
    import psutil

    own = {each.address.partition("%")[0] for some in psutil.net_if_addrs().values() for each in some}
    return host in {"localhost", *own}


def _connected_to() -> str:
    """Return where this process is connected to a server that it, or another process of the same server, is."""
    import psutil  # here, as it takes its time

    try:
        connections = psutil.Process().net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    ports = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    for local, remote in ((each.laddr, each.raddr) for each in connections if len(each.raddr)):
        if remote.ip == local.ip and remote.port in ports:
            return f"[{remote.ip}]:{remote.port}" if ":" in remote.ip else f"{remote.ip}:{remote.port}"
    return ""
