"""The choice of a format."""

from __future__ import annotations

import pytest

from health_check.views.negotiation import acceptable_format, chosen_format

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "html"),
        ("   ", "html"),
        (",", "html"),
        ("*/*", "html"),
        ("*", "html"),
        ("*;q=0.5", "html"),
        ("text/html", "html"),
        (BROWSER, "html"),
        ("application/xhtml+xml", "html"),
        ("text/*", "html"),
        ("application/json", "json"),
        ("APPLICATION/JSON", "json"),
        ("application/*", "json"),
        ("application/json;charset=utf-8", "json"),
        ("text/plain", "text"),
        ("application/health+json", "health+json"),
        ("application/rss+xml", "rss"),
        ("application/atom+xml", "atom"),
    ],
)
def test_acceptable_format__plain(accept: str, expected: str) -> None:
    """Each media type and wildcard gets its format; no preference gets the page."""
    assert acceptable_format(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/html;q=0.1, application/json;q=0.9", "json"),
        ("application/json;q=0.1, text/html;q=0.9", "html"),
        ("application/json; q=0.5 , text/plain", "text"),
        ("*/*;q=0.1, text/plain;q=0.2", "text"),
        ("text/html;q=0, */*", "json"),
        ("text/*;q=0, */*;q=0.5", "json"),
        ("image/png, application/json;q=0.001", "json"),
        ("image/*, *;q=0.1", "html"),
    ],
)
def test_acceptable_format__weighs(accept: str, expected: str) -> None:
    """The highest q-value wins, the most specific range tells it, and 0 excludes."""
    assert acceptable_format(accept) == expected


@pytest.mark.parametrize(
    "accept", ["image/png", "*/*;q=0", "*;q=0", "text/html;q=0", "application/json;q=0.0, text/html;q=0", "image/*"]
)
def test_acceptable_format__none(accept: str) -> None:
    """What accepts none of our formats, or excludes all, gets none."""
    assert acceptable_format(accept) is None


@pytest.mark.parametrize("accept", ["*/*;q=nonsense", "*/*;q=", "*/*;q", "*/*;", "*/*;q=1.000000", "*/*, nonsense"])
def test_acceptable_format__everything_oddly(accept: str) -> None:
    """A wildcard with a nonsensical weight is still a wildcard."""
    assert acceptable_format(accept) == "html"


@pytest.mark.parametrize(
    "accept",
    [
        "nonsense",
        "/",
        "//",
        "text/",
        "/html",
        "a/b/c",
        ";",
        ";q=1",
        "=,;/*",
        "*/html",
        "text/html;q=nan",
        "text/html;q=inf",
        "text/html;q=-1",
        "text/html;q=1e999",
        "text/html;q=٣",
        'text/html;a="unclosed, text/plain',
        "text/html;" * 500,
        "\x00\xff☃",
        ",".join(["*/*;q=0.5"] * 500),
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
