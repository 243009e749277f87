"""The renderers of a report."""

from __future__ import annotations

import dataclasses
import datetime
import json
import xml.etree.ElementTree as ET

import pytest

from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)
from health_check.monitor.reports import Row
from health_check.records import Record
from health_check.views import renderers
from tests.support.readings import reading, report, row, unknown

LINK = "https://example.com/health/"
ATOM = "{http://www.w3.org/2005/Atom}"

OK = row(reading("Database"))
WARNING = row(reading("Disk", ServiceWarning("95 % in use")), critical=False)
ERROR = row(reading("Cache(alias='sessions')", ServiceUnavailable("gone"), ServiceReturnedUnexpectedResult("odd")))
UNKNOWN = row(unknown("Mail", ServiceUnavailable("no result yet")))
QUIET_ERROR = row(reading("Search", HealthCheckException("unknown error")), critical=False)


def test_as_json__says_ok_or_the_errors() -> None:
    """Each label has "OK" or its errors, one a line, in the endpoint's order."""
    found = json.loads(renderers.as_json(report(OK, WARNING, ERROR, UNKNOWN, QUIET_ERROR)))
    assert list(found.items()) == [
        ("Database", "OK"),
        ("Disk", "warning: 95 % in use"),
        ("Cache(alias='sessions')", "unavailable: gone\nunexpected result: odd"),
        ("Mail", "unavailable: no result yet"),
        ("Search", "unknown error"),
    ]
    assert renderers.as_json(report()) == "{}"


@pytest.mark.parametrize("text", ['"quoted" \\ <b>', "größe ☃ 🐍", "tab\tline\nline", "\x1b[31m\x00", "\udcff"])
def test_as_json__any_text(text: str) -> None:
    """Any text comes back from the JSON as it was; what no format can carry, a lone surrogate say, does no harm."""
    found = json.loads(renderers.as_json(report(row(reading(text, ServiceUnavailable(text))))).encode())
    assert [message[:13] for message in found.values()] == ["unavailable: "]
    assert text == "\udcff" or "\x1b" in text or found == {text: f"unavailable: {text}"}


def test_as_text__a_line_a_check() -> None:
    """Each check has one line, however many errors and lines these have."""
    lines = row(reading("Search", ServiceUnavailable("one\ntwo"), ServiceUnavailable("three")))
    assert renderers.as_text(report(OK, ERROR, lines)).split("\n") == [
        "Database: OK",
        "Cache(alias='sessions'): unavailable: gone; unexpected result: odd",
        "Search: unavailable: one; two; unavailable: three",
        "",
    ]


def test_as_health_json__fields() -> None:
    """A check says its state, the seconds it took, when it ran and what is wrong."""
    ran = datetime.datetime(2024, 2, 29, 12, 30, 15, 250000, datetime.UTC)
    failing = row(reading("Cache", ServiceUnavailable("gone"), finished=ran.timestamp(), time_taken=0.125))
    found = json.loads(renderers.as_health_json(report(failing)))
    assert found["status"] == "fail"
    [check] = found["checks"]["Cache"]
    assert check["status"] == "fail"
    assert check["observedValue"] == 0.125
    assert check["observedUnit"] == "s"
    assert check["time"] == "2024-02-29T12:30:15.250Z"
    assert check["output"] == "unavailable: gone"


def test_as_health_json__ok_and_unknown() -> None:
    """The draft allows no output where the status is pass; a check that never ran fails, and has no time of a run."""
    found = json.loads(renderers.as_health_json(report(OK, UNKNOWN)))["checks"]
    (fine,), (check,) = found["Database"], found["Mail"]
    assert "output" not in fine
    assert (check["status"], check["output"]) == ("fail", "unavailable: no result yet")
    assert not {"time", "observedValue", "observedUnit"} & set(check)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([], "pass"),
        ([OK], "pass"),
        ([OK, WARNING], "warn"),
        ([OK, QUIET_ERROR], "warn"),
        ([OK, WARNING, ERROR], "fail"),
        ([UNKNOWN], "fail"),
    ],
)
def test_as_health_json__overall_status(rows: list[Row], status: str) -> None:
    """It passes when all is in order, warns when nothing that is wrong counts, else fails."""
    assert json.loads(renderers.as_health_json(report(*rows)))["status"] == status


@pytest.mark.parametrize(
    ("name", "item", "title", "text", "own_link"),
    [
        ("rss", "channel/item", "title", "description", f"channel/{ATOM}link"),
        ("atom", f"{ATOM}entry", f"{ATOM}title", f"{ATOM}summary", f"{ATOM}link[@rel='self']"),
    ],
)
def test_feeds__items(name: str, item: str, title: str, text: str, own_link: str) -> None:
    """A feed has an item for each check that is not ok, with its state and message, and says where it is itself."""
    feed = ET.fromstring(renderers.as_feed(report(OK, ERROR, UNKNOWN), name, LINK))  # noqa: S314 - our own output
    items = feed.findall(item)
    assert [found.findtext(title) for found in items] == ["Cache(alias='sessions'): error", "Mail: unknown"]
    assert "unavailable: gone" in str(items[0].findtext(text))
    assert [link.get("href") for link in feed.findall(own_link)] == [f"{LINK}?format={name}"]


@pytest.mark.parametrize("name", ["rss", "atom"])
def test_feeds__new_site(name: str) -> None:
    """What is ok from its first run on is no news; what is ok again is."""
    again = reading("Disk")
    before = Record.after(None, reading("Disk", "full").record.result, max_age=10)  # type: ignore[union-attr]
    again = dataclasses.replace(again, record=Record.after(before, again.record.result, max_age=10))  # type: ignore[union-attr]
    body = renderers.as_feed(report(OK, row(again)), name, LINK)
    assert ("Database" in body, "Disk: ok" in body) == (False, True)


def test_as_atom__new_id_with_each_change() -> None:
    """A reader of the feed hears of a change of state, and of nothing else."""
    ids = [
        ET.fromstring(renderers.as_feed(report(row(what)), "atom", LINK)).findtext(f"{ATOM}entry/{ATOM}id")  # noqa: S314
        for what in (
            reading("A", "x", finished=1e9),
            reading("A", "y", finished=1e9),
            reading("A", "x", finished=1.1e9),
        )
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("name", ["rss", "atom"])
@pytest.mark.parametrize("text", ["<b> & ]]>", "größe 🐍", "\x1b[31mred", "nul \x00", "\udcff"])
def test_feeds__any_text(name: str, text: str) -> None:
    """Any text makes a well-formed feed; what XML has no place for does not break it."""
    feed = renderers.as_feed(report(row(reading("A", ServiceUnavailable(text)))), name, LINK)
    ET.fromstring(feed.encode())  # noqa: S314 - our own output
