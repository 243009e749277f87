"""What pages and clients load besides answers: the styles, the icons, the schema, and the runbooks of alerts.

All are from the endpoint itself. So links to runbooks work without the internet, the page needs no static files of the
site, and a strict Content-Security-Policy (``style-src 'self'; img-src 'self'``) shows it as it is.
"""

from __future__ import annotations

import functools
import hashlib
import pathlib
import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseNotModified
from django.utils.cache import patch_vary_headers

from health_check.redaction import shown
from health_check.views.negotiation import CONTENT_TYPES
from health_check.views.query import Query

FOLDER = pathlib.Path(__file__).parents[1] / "assets"

FILES = {
    "css": ("page.css", "text/css; charset=utf-8"),
    "schema": ("health.schema.json", "application/schema+json"),
    **{f"icon-{mood}": (f"icon-{mood}.svg", "image/svg+xml") for mood in ("ok", "warning", "error", "draining")},
}
"""The files and their media types, by the name that ``?format=`` gives."""

MOST_LETTERS = 100
"""How much of an unknown name is repeated."""

MAX_AGE = 86400
"""For how many seconds a browser may keep them: links to what changes have a version."""


@functools.cache
def read(name: str) -> tuple[bytes, str]:
    """Return a file, and what distinguishes it from that of another version."""
    content = (FOLDER / FILES[name][0]).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def version(name: str) -> str:
    """Return what distinguishes a file from that of another version of this package."""
    return read(name)[1]


def asset(request: HttpRequest, query: Query) -> HttpResponse | None:
    """Return the file that ``?format=`` names, or the runbook that ``?runbook=`` does; None if none is asked for."""
    if request.method not in ("GET", "HEAD"):
        return None
    if query.format in FILES:
        content, tag = read(query.format)
        return revalidated(request, content, media_type=FILES[query.format][1], tag=tag, max_age=MAX_AGE)
    return None if query.runbook is None else _runbook(query.runbook)


def _runbook(name: str) -> HttpResponse:
    """Return the runbook of an alert, as text; without a name the list, and 404 with it if there is no such alert."""
    sections = _runbooks()
    text, status = sections.get(name.lower()), 200
    if text is None:
        names = "".join(f"{section.splitlines()[0].lstrip('# ')}\n" for section in sections.values())
        text = f"Runbooks of alerts, as ?runbook=NAME:\n\n{names}"
        if name:
            text = f"There is no alert {shown(name[:MOST_LETTERS])}. These have a runbook:\n\n{names}"
            status = 404
    return HttpResponse(text, status=status, content_type=CONTENT_TYPES["text"])


@functools.cache
def _runbooks() -> dict[str, str]:
    """Return the section of each alert on the page on alerts of the documentation, by its name in small letters."""
    page = (FOLDER.parent / "views" / "runbooks.md").read_text(encoding="utf-8")
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", page)
    sections = re.findall(r"^## (HealthCheck\w+)\n(.*?)(?=^## |\Z)", plain, re.MULTILINE | re.DOTALL)
    return {name.lower(): f"# {name}\n{text.rstrip()}\n" for name, text in sections}


def revalidated(request: HttpRequest, content: bytes, *, media_type: str, tag: str, max_age: int) -> HttpResponse:
    """Return an answer that its reader may keep for a while, and ask about then by its ETag (RFC 9110 §13.1.2)."""
    known = [each.strip().removeprefix("W/") for each in request.META.get("HTTP_IF_NONE_MATCH", "").split(",")]
    is_known = f'"{tag}"' in known or "*" in known
    response = HttpResponseNotModified() if is_known else HttpResponse(content, content_type=media_type)
    response.headers["ETag"] = f'"{tag}"'
    response.headers["Cache-Control"] = f"private, max-age={max_age}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    patch_vary_headers(response, ["Accept", "Authorization", "Cookie"])
    return response
