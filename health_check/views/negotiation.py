"""The choice of a format for an answer: by ``?format=``, else by the ``Accept`` header."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence

from django.http.request import MediaType

CONTENT_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "health+json": "application/health+json",
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
}
"""The content types by format, the preferred first."""

MEDIA_TYPES = {content_type.partition(";")[0]: name for name, content_type in CONTENT_TYPES.items()} | {
    "application/xhtml+xml": "html"
}
"""The formats by media type."""

FORMATS = frozenset({*CONTENT_TYPES, "svg"})
"""The names that ``?format=`` may give; a badge is asked for by its name alone."""

VARIANTS = {"health json": "health+json"}
"""A plus sign is a space in a query string."""


def chosen_format(name: str, accept: str) -> str | None:
    """Return the format that ``?format=`` names, else the one that an ``Accept`` header prefers; None for no format."""
    if name:
        name = VARIANTS.get(name, name)
        return name if name in FORMATS else None
    return acceptable_format(accept)


@functools.lru_cache(maxsize=256)
def acceptable_format(accept: str) -> str | None:
    """Return the format that an ``Accept`` header prefers; HTML where it has no preference.

    Of each media type the most specific range that matches counts. Among types of equal quality the one that is
    named more specifically, then the one that is named first, is preferred.
    """
    ranges = [_range(media_type) for media_type in media_types(accept)]
    if not ranges:
        return "html"
    preferences = [
        (-quality, -specificity, -position, offered)
        for offered in MEDIA_TYPES
        for specificity, position, quality in [max(_matches(offered, ranges), default=(0, 0, 0.0))]
        if quality > 0
    ]
    return MEDIA_TYPES[min(preferences, key=lambda found: found[:3])[3]] if preferences else None


def _matches(offered: str, ranges: Sequence[tuple[str, float]]) -> Iterator[tuple[int, int, float]]:
    """Yield how specific each range is that matches, how far in front it stands, and its quality."""
    for position, (media_range, quality) in enumerate(ranges):
        if media_range in (offered, f"{offered.partition('/')[0]}/*", "*/*"):
            specificity = 2 - media_range.count("*")
            yield specificity, -position, quality


def media_types(accept: str) -> list[MediaType]:
    """Return the media ranges of an ``Accept`` header, without those that cannot be parsed."""
    found = []
    for part in accept.split(","):
        if part.strip():
            with contextlib.suppress(ValueError):  # an encoding that there is not, or longer than Django reads
                found.append(MediaType(part.strip()))
    return found


def _range(media_type: MediaType) -> tuple[str, float]:
    """Return a media range without its parameters, and its quality; some clients write ``*`` for ``*/*``."""
    name = f"{media_type.main_type}/{media_type.sub_type or '*'}".lower()
    return name, media_type.quality if media_type.quality == media_type.quality else 1.0
