"""Badges, and the files that pages load."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import jsonschema
import pytest
from django.urls import path
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.monitor.history import History
from health_check.past import HALF_HOUR, HALF_HOURS, Period, gapless
from health_check.views import HealthCheckView, renderers
from health_check.views.assets import FILES, read
from health_check.views.badges import badge
from health_check.views.query import NO_QUERY, Query
from tests.conftest import Mount
from tests.support.checks import Broken, Fine, Shaky
from tests.support.readings import reading, report, row, unknown
from tests.support.site.stacks import STACKS, Ask

SVG = "{http://www.w3.org/2000/svg}"

OPTIONAL: dict[str, Any] = {"critical_service": False, "title": "Not <so> important", "group": "Data"}


@pytest.fixture
def _site(mount: Mount, settings: Settings) -> None:
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, "SITE": "shop"}
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine, (Broken, OPTIONAL), (Shaky, {"critical_service": False})]), name="health"),
        path("failing/", view(checks=[Broken]), name="failing"),
        path("states/", view(checks=[Fine], details="never"), name="states"),
        path("guarded/", view(checks=[Fine], open=False), name="guarded"),
        path("live/", view(checks=[]), name="live"),
    )


def told(svg: bytes | str) -> str:
    """Return what a badge says: well-formed, and the same to screen readers."""
    image = ET.fromstring(svg)  # noqa: S314 - our own output
    title = image.findtext(f"{SVG}title")
    assert image.get("aria-label") == title
    assert ": ".join(str(text.text) for text in image.iter(f"{SVG}text")) == title
    return str(title)


@STACKS
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("/health/?", "shop: warning"),
        ("/failing/?", "shop: failing"),
        ("/live/?", "shop: passing"),
        ("/health/?check=Fine&", "Fine: ok"),
        ("/health/?check=Broken&", "Not <so> important: error"),
        ("/states/?", "health: passing"),
        ("/states/?show=uptime&", "health, 24h: not shown"),
        ("/health/?check=Fine&show=uptime&range=30d&", "Fine, 30d: 100 %"),
        ("/failing/?show=uptime&", "shop, 24h: 0.00 %"),
    ],
)
def test_badge__says(ask: Ask, url: str, text: str) -> None:
    """A badge says the state or the uptime, always with 200, and no more than may be told."""
    runtime.read()
    response = ask(f"{url}format=svg")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/svg+xml")
    assert told(response.content) == text
    assert b"Something went wrong" not in response.content


@STACKS
@pytest.mark.usefixtures("_site")
def test_badge__is_asked_about_by_its_etag(ask: Ask) -> None:
    """It may be kept for some seconds; who has it gets 304 then; who is not let in, or asks for no check, gets none."""
    first = ask("/health/?format=svg&check=Fine")
    assert first.headers["Cache-Control"] == "private, max-age=10"
    again = ask("/health/?format=svg&check=Fine", headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = ask("/health/?format=svg", headers={"If-None-Match": first.headers["ETag"]})
    assert (other.status_code, told(other.content)) == (200, "shop: warning")
    assert ask("/guarded/?format=svg").status_code == 403
    assert ask("/health/?format=svg&check=Nothing").status_code == 404


@pytest.mark.parametrize("name", ["x" * 1000, "größe ☃ <b>&", '"quoted"'])
def test_badge__any_name(name: str) -> None:
    """A badge is small, whatever its check is called."""
    svg = badge(report(row(reading(name))), Query(checks=(name,)), History())
    assert told(svg).startswith(name[:50])
    assert len(svg) < 2000


def test_badge__uptime_of_critical_checks() -> None:
    """The uptime of an endpoint is that of its critical checks."""
    periods = gapless([Period(0)._replace(ok=3, error=1)], 1.0, length=HALF_HOUR, count=HALF_HOURS)
    rows = row(reading("Database")), row(reading("Search"), critical=False)
    shown = badge(report(*rows), Query(show="uptime"), History(half_hours={"Database": periods}))
    assert told(shown).endswith(", 24h: 75.00 %")
    assert told(badge(report(*rows), NO_QUERY, History())).endswith(": passing")


@STACKS
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("name", FILES)
def test_files__are_served(ask: Ask, name: str) -> None:
    """Each file is there with its type and an ETag, after ACCESS, and no check is run for it."""
    response = ask(f"/failing/?format={name}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, FILES[name][1])
    assert response.content == read(name)[0]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(f"/failing/?format={name}", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert ask(f"/guarded/?format={name}").status_code == 403
    assert ask(f"/failing/?format={name}", method="POST").status_code == 405


ROWS = [
    row(reading("Database")),
    row(reading("Disk", ServiceUnavailable("full")), critical=False),
    row(unknown("Mail", ServiceUnavailable("no result yet"))),
]


@pytest.mark.parametrize("count", range(len(ROWS) + 1))
@pytest.mark.parametrize("details", [True, False])
def test_schema__of_health_json(count: int, details: bool, settings: Settings) -> None:
    """What is answered is valid by the schema that is served, and has nothing that it does not name."""
    settings.HEALTH_CHECK = {"SITE": "shop", "RELEASE": "1.2"}
    shown = report(*ROWS[:count])
    document = json.loads(renderers.as_health_json(shown if details else shown.without_details()))
    schema = json.loads(read("schema")[0])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    assert set(document) <= set(schema["properties"])
    for (check,) in document["checks"].values():
        assert set(check) <= set(schema["$defs"]["check"]["properties"])
    assert ("serviceId" in document, "releaseId" in document) == (details, details)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "up"},
        {"checks": {"A": []}},
        {"checks": {"A": [{"status": "pass", "state": "ok", "critical": True, "componentType": "x"}]}},
        {"checks": {"A": [{"status": "fail", "state": "error", "critical": True, "componentType": "component"}]}},
        {"checks": {"A": [{"status": "fail", "state": "ok", "critical": True, "componentType": "component"}]}},
    ],
)
def test_schema__refuses(change: dict[str, Any]) -> None:
    """What is otherwise is refused."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"status": "pass", "checks": {}, **change}, json.loads(read("schema")[0]))


@STACKS
@pytest.mark.usefixtures("_site")
def test_health_json__for_people(ask: Ask) -> None:
    """Health+json says what people are told of the site and its checks, and is valid as a site answers it."""
    document = json.loads(ask("/health/?format=health%2Bjson").content)
    jsonschema.validate(document, json.loads(read("schema")[0]))
    assert document["serviceId"] == "shop"
    assert document["notes"] == ["Working, 1 optional check failing, 1 warning"]
    assert document["links"] == {"describedby": "?format=schema"}
    (check,) = document["checks"]["Broken"]
    assert (check["title"], check["group"]) == ("Not <so> important", "Data")
