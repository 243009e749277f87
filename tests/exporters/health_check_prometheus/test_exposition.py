"""The choice of the format and the encoding, by what clients send."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from health_check_prometheus.exposition import chosen_encoder, gzip_accepted

TEXT = CONTENT_TYPE_PLAIN_0_0_4
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

SECONDS = 10.0
"""How long choosing may take, however long the header is, on a machine that is busy; else it takes 0.2 s."""

UTF8, UNDERSCORES = "allow-utf-8", "underscores"


def scrape(*media: str, least: float = 0.2) -> str:
    """Return what a Prometheus sends: media types, the most wanted first, by a tenth each, and in the end anything."""
    qualities = [least + number / 10 for number in range(len(media), -1, -1)]
    return ",".join(f"{each};q={quality:.1f}" for each, quality in zip([*media, "*/*"], qualities, strict=True))


def known(escaping: str = "") -> list[str]:
    """Return the media types of a Prometheus, of version 3 with an escaping."""
    more = f";escaping={escaping}" if escaping else ""
    newest = [f"text/plain;version=1.0.0{more}"] if escaping else []
    openmetrics = [f"application/openmetrics-text;version=1.0.0{more}", "application/openmetrics-text;version=0.0.1"]
    return [*openmetrics, *newest, "text/plain;version=0.0.4"]


PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

PROMETHEUS = {
    "2.5": ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
    "2.53": (scrape(*known()), f"{OPENMETRICS}; escaping={UNDERSCORES}"),
    "2.53, native histograms": (scrape(PROTOBUF, *known(), least=0.1), f"{OPENMETRICS}; escaping={UNDERSCORES}"),
    "3": (scrape(*known(UTF8)), f"{OPENMETRICS}; escaping={UTF8}"),
    "3, underscores": (scrape(*known(UNDERSCORES), least=0.1), f"{OPENMETRICS}; escaping={UNDERSCORES}"),
    "3, native histograms": (
        scrape(f"{PROTOBUF};escaping={UTF8}", *known(UTF8), least=0.1),
        f"{OPENMETRICS}; escaping={UTF8}",
    ),
    "3, text alone": (scrape("text/plain;version=0.0.4", least=0.5), TEXT),
    "3, text 1.0.0 alone": (
        scrape(f"text/plain;version=1.0.0;escaping={UTF8}", least=0.5),
        f"{TEXT_1}; escaping={UTF8}",
    ),
}
"""What Prometheus sends, by its version and configuration, and what it gets."""


@pytest.mark.parametrize("version", PROMETHEUS)
def test_prometheus__gets_the_best_that_there_is(version: str) -> None:
    """Each Prometheus gets OpenMetrics 1.0.0 where it knows that, else the text format it prefers; the page is such."""
    accept, expected = PROMETHEUS[version]
    encoder, content_type = chosen_encoder(accept)
    assert content_type == expected
    registry = CollectorRegistry()
    Counter("shop_orders", "Another collector's.", registry=registry)
    page = encoder(registry).decode()  # only OpenMetrics has an end, and names its counters shorter
    assert page.endswith("# EOF\n") == ("openmetrics" in content_type)
    assert ("# TYPE shop_orders counter" in page) == ("openmetrics" in content_type)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5", TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.9", TEXT),
        ("text/plain;q=0.1,application/openmetrics-text;q=0.2", OPENMETRICS),
        ("application/openmetrics-text;q=0,text/plain", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("*/*,application/openmetrics-text;q=0.9", TEXT),
        ("*/*;q=0.1,application/openmetrics-text", OPENMETRICS),
        ("text/*;q=0.9,application/openmetrics-text;q=0.8", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
        ("application/openmetrics-text;q=2,text/plain;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=nan,text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=many", OPENMETRICS),
        ("", TEXT),
        ("nonsense", TEXT),
        ("image/png", TEXT),
        ("*/*;q=nonsense", TEXT),
    ],
)
def test_quality__the_most_wanted(accept: str, expected: str) -> None:
    """What is wanted most is answered, whatever its place in the header; what has the quality 0 never is."""
    assert chosen_encoder(accept)[1] == expected


@pytest.mark.parametrize(
    "version",
    ["99.0.0", "2.0.0", "0.0.1", "1", "1.0", "1.0.0.0", "01.0.0", "abc", "1.0.0 2", "-1", "١.٠.٠", "1.0.0%0d%0aX: y"],
)
@pytest.mark.parametrize("media", ["application/openmetrics-text", "text/plain"])
@pytest.mark.parametrize(
    "how", ["version={}", 'version="{}"', "version*=utf-8''{}", "version*0={}", 'escaping="x;version={}"']
)
def test_version__unknown(media: str, version: str, how: str) -> None:
    """A version that there is not, however it is written, is never answered, and no error either."""
    content_type = chosen_encoder(f"{media};{how.format(version)}")[1]
    assert content_type in {TEXT, OPENMETRICS}


@pytest.mark.parametrize(
    "accept",
    [
        'application/openmetrics-text;version="1.0.0"',
        "application/openmetrics-text; version = 1.0.0",
        "application/openmetrics-text;version*=utf-8''1.0.0",
        "application/openmetrics-text;version*0=1.;version*1=0.0",
        "APPLICATION/OpenMetrics-Text;Version=1.0.0",
        "application/openmetrics-text;charset=utf-8;version=1.0.0;q=1.0",
    ],
)
def test_version__in_other_words(accept: str) -> None:
    """The version counts however it is written, with quotes or as RFC 2231 has it."""
    assert chosen_encoder(accept)[1].startswith(OPENMETRICS)


@pytest.mark.parametrize(
    ("escaping", "answered"),
    [
        ("allow-utf-8", "allow-utf-8"),
        ("underscores", "underscores"),
        ("dots", "dots"),
        ("values", "underscores"),
        ("nonsense", "underscores"),
        ("", "underscores"),
        ('"allow-utf-8;version=99.0.0"', "underscores"),
        ('"x;version=abc"', "underscores"),
        ('"x\r\nX-Header: y"', "underscores"),
    ],
)
@pytest.mark.parametrize("media", ["application/openmetrics-text;version=1.0.0", "text/plain;version=1.0.0"])
def test_escaping__known_or_the_default(media: str, escaping: str, answered: str) -> None:
    """The escapings that work may be asked for; another one is never repeated, nor what is hidden in it."""
    content_type = chosen_encoder(f"{media};escaping={escaping}")[1]
    assert content_type == f"{media.replace(';', '; ')}; charset=utf-8; escaping={answered}"


@pytest.mark.parametrize(
    "escaping", ['"x;version=abc"', '"x;version=99.0.0"', "*=utf-8''x%3Bversion%3D2%0D%0AX", "*=rot13''abc", "*0=a"]
)
def test_escaping__hides_no_version(escaping: str) -> None:
    """Where no version is given, none is taken from what is in quotes or encoded."""
    separator = "" if escaping.startswith("*") else "="
    content_type = chosen_encoder(f"application/openmetrics-text;escaping{separator}{escaping}")[1]
    assert content_type in {TEXT, OPENMETRICS}


@pytest.mark.parametrize(
    "accept",
    [
        "a/b," * 25_000,
        "," * 100_000,
        "application/openmetrics-text;version=1.0.0," * 2_400,
        f"application/openmetrics-text;{'x=y;' * 25_000}",
        f"text/plain;version={'9' * 100_000}",
        'a/b;x="' * 14_000,
        "a/b;x*=utf-8''%20," * 5_500,
        "a/b;x*0=a;x*1=b," * 6_000,
        "\x00" * 100_000,
        "\xff" * 100_000,
    ],
    ids=["types", "commas", "openmetrics", "parameters", "version", "quotes", "encoded", "parts", "zeros", "latin"],
)
def test_length__100_kb(accept: str) -> None:
    """A header of any length gives an answer, and soon."""
    start = time.perf_counter()
    assert chosen_encoder(accept)[1].startswith((TEXT, OPENMETRICS))
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("deflate,gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, identity", False),
        ("deflate", False),
        ("x-gzipped", False),
        ("", False),
        (";", False),
        ("identity;q=1, *;q=0", False),
        ("gzip;q=nonsense", True),
    ],
)
def test_gzip_accepted__by_quality(accepted: str, expected: bool) -> None:
    """Who gives gzip the quality 0 does not take it."""
    assert gzip_accepted(accepted) is expected
