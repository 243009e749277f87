"""What pages and clients load besides answers: the styles, the icons and the schema. All from the endpoint itself.

So the page needs no static files of the site, and a strict Content-Security-Policy (``style-src 'self'; img-src
'self'``) shows it as it is.
"""

from __future__ import annotations

import functools
import hashlib
import pathlib

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseNotModified
from django.utils.cache import patch_vary_headers

FOLDER = pathlib.Path(__file__).parents[1] / "assets"

FILES = {
    "css": ("page.css", "text/css; charset=utf-8"),
    "schema": ("health.schema.json", "application/schema+json"),
    **{f"icon-{mood}": (f"icon-{mood}.svg", "image/svg+xml") for mood in ("ok", "warning", "error", "draining")},
}
"""The files and their media types, by the name that ``?format=`` gives."""

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


def asset(request: HttpRequest, name: str) -> HttpResponse | None:
    """Return the file that a request asks for; None if it asks for none.

    Args:
        request: The request.
        name: What ``?format=`` names.
    """
    if name not in FILES or request.method not in ("GET", "HEAD"):
        return None
    content, tag = read(name)
    return revalidated(request, content, media_type=FILES[name][1], tag=tag, max_age=MAX_AGE)


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
