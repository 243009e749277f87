"""Draining, as each renderer and the page show it."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from django.test import RequestFactory

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.reports import Report, Row
from health_check.views import renderers
from health_check.views.headline import mood_of
from health_check.views.html import render_page
from tests.support.readings import reading, report, row

LINK = "https://example.com/ready/"
ATOM = "{http://www.w3.org/2005/Atom}"
NOTICE = "unavailable: this host is drained"

OK = row(reading("Database"))
ERROR = row(reading("Cache", ServiceUnavailable("gone")))
WARNING = row(reading("Disk", ServiceWarning("95 % in use")), critical=False)
OPTIONAL = row(reading("Search", ServiceUnavailable("gone")), critical=False)


def drained(*rows: Row) -> Report:
    """Return the report of a readiness endpoint of a host that is drained."""
    return dataclasses.replace(report(*rows), draining=True, status_code=503)


def test_report__is_not_healthy() -> None:
    """What is wrong besides the checks has a name and a text, also where only states are shown."""
    for shown in (drained(OK), drained(), drained(OK).without_details()):
        assert not shown.healthy
        assert {name: message.text for name, message in shown.notices.items()} == {"draining": NOTICE}
    assert report(OK).healthy
    assert report(OK, ERROR).notices == {}


def test_as_json__comes_first() -> None:
    """It is the first key of the object, and the checks are as ever."""
    assert list(json.loads(renderers.as_json(drained(OK, ERROR))).items()) == [
        ("draining", NOTICE),
        ("Database", "OK"),
        ("Cache", "unavailable: gone"),
    ]
    assert json.loads(renderers.as_json(drained())) == {"draining": NOTICE}


def test_as_text__is_the_first_line() -> None:
    """It is a line like those of checks."""
    assert renderers.as_text(drained(OK)).splitlines() == [f"draining: {NOTICE}", "Database: OK"]
    assert renderers.as_text(drained()) == f"draining: {NOTICE}\n"


@pytest.mark.parametrize("rows", [(), (OK,), (OK, WARNING), (OK, ERROR)])
def test_as_health_json__fails(rows: tuple[Row, ...]) -> None:
    """The whole fails, with the reason as its output; the checks are as ever."""
    found = json.loads(renderers.as_health_json(drained(*rows)))
    assert (found["status"], found["output"]) == ("fail", NOTICE)
    assert found["checks"] == json.loads(renderers.as_health_json(report(*rows)))["checks"]
    assert "output" not in json.loads(renderers.as_health_json(report(*rows)))


@pytest.mark.parametrize(
    ("name", "item", "title", "id_"),
    [
        ("rss", "channel/item", "title", "guid"),
        ("atom", f"{ATOM}entry", f"{ATOM}title", f"{ATOM}id"),
    ],
)
def test_feed__is_the_first_item(name: str, item: str, title: str, id_: str) -> None:
    """A feed has one item more, first, with an id of its own."""
    items = ET.fromstring(renderers.as_feed(drained(OK, ERROR), name, LINK)).findall(item)  # noqa: S314 - our own output
    assert [found.findtext(title) for found in items] == ["draining", "Cache: error"]
    assert NOTICE in ET.tostring(items[0], encoding="unicode")
    assert len({found.findtext(id_) for found in items}) == 2


def test_check_of_that_name__hides_nothing() -> None:
    """A check that happens to be called so does not make the body say that all is in order."""
    same = row(reading("draining"))
    for body in (renderers.as_json(drained(same)), renderers.as_text(drained(same))):
        assert NOTICE in body
    assert "drained: this host" in page(drained(same)).lower()


def page(shown: Report) -> str:
    """Return the page of a report."""
    context: dict[str, Any] = {"report": shown, "plugins": [], "errors": False}
    response = render_page(RequestFactory().get("/ready/"), ["health_check/index.html"], context, status=503)
    return response.content.decode()


@pytest.mark.parametrize(
    ("shown", "mood", "heading"),
    [
        (drained(OK), "draining", "! Drained: this host is to get no new requests"),
        (drained(), "draining", "! Drained: this host is to get no new requests"),
        (drained(WARNING), "draining", "! Drained: this host is to get no new requests"),
        (drained(ERROR), "error", "✗ Failing: Cache"),
        (report(), "ok", "✓ Answering, without checks"),
        (report(OK), "ok", "✓ All checks pass"),
        (report(OK, WARNING), "ok", "✓ Working, 1 warning"),
        (report(dataclasses.replace(WARNING, critical=True)), "warning", "! Working, 1 warning"),
        (report(OPTIONAL, WARNING, WARNING), "warning", "! Working, 1 optional check failing, 2 warnings"),
        (report(ERROR), "error", "✗ Failing: Cache"),
        (report(*[ERROR] * 5), "error", "✗ Failing: Cache, Cache, Cache and 2 more"),
    ],
)
def test_page__heading_and_title(shown: Report, mood: str, heading: str) -> None:
    """Both say in plain words what fails, or that nothing does; a drained host is said in any case."""
    document = page(shown)
    assert mood_of(shown) == mood
    assert f"<title>{heading}</title>" in document
    assert bool(re.search("This host is drained|Drained: this host", document)) == shown.draining
    found = re.search(r'(?s)<section class="hero (\w+)".*?<h1>(.*?)</h1>', document)
    assert found is not None
    assert found[1] == mood
    assert " ".join(re.sub("<[^>]*>", " ", found[2]).split()).startswith(heading)


def test_page__shows_the_checks_all_the_same() -> None:
    """That a host is drained does not hide how it is."""
    document = page(drained(OK, ERROR))
    assert "Database" in document
    assert "unavailable: gone" in document
