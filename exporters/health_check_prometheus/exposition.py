"""The exposition: the format of the page, as ``Accept`` prefers it, and the part of it that was asked for."""

from __future__ import annotations

from collections.abc import Callable

from django.http.request import MediaType
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector

from health_check.views.negotiation import media_types

Encoder = Callable[[Collector], bytes]

FORMATS = {
    ("application/openmetrics-text", ""),
    ("application/openmetrics-text", "1.0.0"),
    ("text/plain", ""),
    ("text/plain", "0.0.4"),
    ("text/plain", "1.0.0"),
}
"""What can be answered: the media types with their versions."""

ESCAPINGS = ("allow-utf-8", "underscores", "dots")
"""How names may be written, as ``escaping`` says; another value counts as none. By ``values``, the client's OpenMetrics
names the samples otherwise than their family.
"""

ANYTHING = ("*/*", "text/*")
"""What is answered in the oldest format, like what is not understood."""


def chosen_encoder(accept: str) -> tuple[Encoder, str]:
    """Return the encoder and the content type that an ``Accept`` header prefers.

    OpenMetrics 1.0.0, text 1.0.0 with the escaping that the client takes, or text 0.0.4, which is also the answer to
    nonsense, to unknown versions and to no preference. prometheus_client does the rest: it takes the first of
    what it knows, regardless of the quality, and repeats the version that was asked for, even an unknown one.
    """
    for media in _preferred(accept):
        if media.split(";")[0] in ANYTHING:
            break
        return choose_encoder(media)
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


def _preferred(accept: str) -> list[str]:
    """Return what an ``Accept`` header wants and can be answered, the most wanted first: RFC 9110 §12.5.1."""
    wanted = [media for media in media_types(accept) if media.quality > 0 and _is_known(media)]
    return [_as_text(media) for media in sorted(wanted, key=lambda media: -media.quality)]


def _is_known(media: MediaType) -> bool:
    name = _name(media)
    return name in ANYTHING or (name, media.params.get("version", "")) in FORMATS


def _as_text(media: MediaType) -> str:
    """Return what is wanted in words of our own: what a client puts in quotes may have parameters in it."""
    version, escaping = str(media.params.get("version", "")), str(media.params.get("escaping", ""))
    parameters = {"version": version, "escaping": escaping if escaping in ESCAPINGS else ""}
    return ";".join([_name(media), *(f"{name}={value}" for name, value in parameters.items() if value)])


def _name(media: MediaType) -> str:
    return f"{media.main_type}/{media.sub_type}".lower()


def gzip_accepted(accept_encoding: str) -> bool:
    """Return whether a client takes gzip: RFC 9110 §12.5.3; one that gives it the quality 0 does not."""
    return any(coding.main_type == "gzip" and coding.quality > 0 for coding in media_types(accept_encoding))
