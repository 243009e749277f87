"""The choice of a format."""

from __future__ import annotations

import pytest

from health_check.views.negotiation import acceptable_format, chosen_format

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

PREFERRED: dict[str | None, list[str]] = {
    "html": [
        *("", "   ", ",", "*/*", "*", "*;q=0.5", "text/html", BROWSER, "application/xhtml+xml", "text/*"),
        *("application/json;q=0.1, text/html;q=0.9", "image/*, *;q=0.1"),
        *("*/*;q=nonsense", "*/*;q=", "*/*;q", "*/*;", "*/*;q=1.000000", "*/*, nonsense"),
    ],
    "json": [
        *("application/json", "APPLICATION/JSON", "application/*", "application/json;charset=utf-8"),
        *("text/html;q=0.1, application/json;q=0.9", "image/png, application/json;q=0.001"),
        *("text/html;q=0, */*", "text/*;q=0, */*;q=0.5"),
    ],
    "text": ["text/plain", "application/json; q=0.5 , text/plain", "*/*;q=0.1, text/plain;q=0.2"],
    "health+json": ["application/health+json"],
    "rss": ["application/rss+xml"],
    "atom": ["application/atom+xml"],
    None: [
        *("image/png", "image/*", "*/*;q=0", "*;q=0", "text/html;q=0", "application/json;q=0.0, text/html;q=0"),
    ],
}
"""The ``Accept`` headers by what they prefer: the highest weight, of the most specific range; 0 excludes."""


@pytest.mark.parametrize(
    ("accept", "expected"), [(accept, expected) for expected, headers in PREFERRED.items() for accept in headers]
)
def test_acceptable_format__preferred(accept: str, expected: str | None) -> None:
    """Each media type and wildcard gets its format, no preference the page, and what accepts none of ours none."""
    assert acceptable_format(accept) == expected


@pytest.mark.parametrize(
    "accept",
    [
        *("nonsense", "/", "//", "text/", "/html", "a/b/c", ";", ";q=1", "=,;/*", "*/html"),
        *("text/html;q=nan", "text/html;q=inf", "text/html;q=-1", "text/html;q=1e999", "text/html;q=٣"),
        *('text/html;a="unclosed, text/plain', "text/html;" * 500, "\x00\xff☃", ",".join(["*/*;q=0.5"] * 500)),
    ],
)
def test_acceptable_format__nonsense(accept: str) -> None:
    """Nonsense gets a format or none, never an exception."""
    assert acceptable_format(accept) in (None, "html", "text")


@pytest.mark.parametrize(
    ("name", "accept", "expected"),
    [
        *((name, "image/png", name) for name in ("html", "json", "health+json", "text", "rss", "atom")),
        ("health json", "image/png", "health+json"),  # a plus sign typed into the address bar is a space
        ("", "", "html"),
        ("", "text/plain", "text"),
        ("", "image/png", None),
        *((name, "application/json", None) for name in ("nonsense", "openmetrics", "prometheus", "\x00\xff", "JSON")),
    ],
)
def test_chosen_format__named(name: str, accept: str, expected: str | None) -> None:
    """A format that is named in the URL wins over the header, also where there is none of that name."""
    assert chosen_format(name, accept) == expected
