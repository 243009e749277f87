"""The choice of a format."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django import Settings

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


@pytest.mark.parametrize("name", ["html", "json", "health+json", "text", "rss", "atom"])
def test_chosen_format__named(name: str) -> None:
    """A format that is named in the URL wins over the header."""
    request = RequestFactory().get("/health/", {"format": name}, headers={"Accept": "image/png"})
    assert chosen_format(request) == name


def test_chosen_format__plus_sign() -> None:
    """A plus sign typed into the address bar reaches us as a space."""
    assert chosen_format(RequestFactory().get("/health/?format=health+json")) == "health+json"


@pytest.mark.parametrize("query", ["format=", "other=json", "format[]=json"])
def test_chosen_format__named_none(query: str) -> None:
    """What names no format leaves the choice to the header."""
    factory = RequestFactory()
    assert chosen_format(factory.get(f"/health/?{query}")) == "html"
    assert chosen_format(factory.get(f"/health/?{query}", headers={"Accept": "text/plain"})) == "text"
    assert chosen_format(factory.get(f"/health/?{query}", headers={"Accept": "image/png"})) is None


@pytest.mark.parametrize("name", ["nonsense", "openmetrics", "prometheus", "%00%FF", "JSON"])
def test_chosen_format__named_one_that_there_is_not(name: str) -> None:
    """A format that there is not is none, whatever the header accepts."""
    request = RequestFactory().get(f"/health/?format={name}", headers={"Accept": "application/json"})
    assert chosen_format(request) is None


def test_chosen_format__too_many_parameters(settings: Settings) -> None:
    """A query string that Django does not read names no format, and is no error."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    request = RequestFactory().get("/health/?a=1&b=2&format=json", headers={"accept": "text/plain"})
    assert chosen_format(request) == "text"
