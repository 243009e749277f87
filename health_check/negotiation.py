"""The choice of a format for an answer: by ``?format=``, else by the ``Accept`` header."""

from __future__ import annotations

import functools

from django.http import HttpRequest

MEDIA_TYPES = {
    "text/html": "html",
    "application/json": "json",
    "text/plain": "text",
    "application/health+json": "health+json",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/xhtml+xml": "html",
}
"""The formats by media type, the preferred first."""

FORMATS = frozenset(MEDIA_TYPES.values())
"""The names that ``?format=`` may give."""

VARIANTS = {"health json": "health+json"}
"""A plus sign is a space in a query string."""


def chosen_format(request: HttpRequest) -> str | None:
    """Return the format a request asks for, or None if it accepts none that there is.

    ``?format=`` counts if it names a format; otherwise the ``Accept`` header does, RFC 9110 §12.5.1.
    """
    name = request.GET.get("format", "")
    name = VARIANTS.get(name, name)
    return name if name in FORMATS else acceptable_format(request.META.get("HTTP_ACCEPT", ""))


@functools.lru_cache(maxsize=256)
def acceptable_format(accept: str) -> str | None:
    """Return the format that an ``Accept`` header prefers; HTML where it has no preference."""
    ranges = [part.strip() for part in accept.split(",") if part.strip()]
    if not ranges:
        return "html"
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = ",".join(_as_range(part) for part in ranges)
    media_type = request.get_preferred_type(list(MEDIA_TYPES))
    return MEDIA_TYPES[media_type] if media_type else None


def _as_range(part: str) -> str:
    """Return a media range; some clients write ``*`` for ``*/*``."""
    media_type, separator, parameters = part.partition(";")
    return f"*/*{separator}{parameters}" if media_type.strip() == "*" else part
