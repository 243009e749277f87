"""The checks of providers with Atlassian's status pages, against what such pages have been seen to answer."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any, ClassVar

import pytest

from health_check.contrib import atlassian
from health_check.contrib.atlassian import AtlassianStatusPage, GitHub, Npm, PyPI
from health_check.exceptions import StatusPageWarning
from health_check.registry.definitions import label_of
from tests.support.pages import Pages

PATH = "/api/v2/summary.json"

UNKNOWN = "warning: the status page answered in an unknown form"

COMPONENTS = [
    {"id": "g1", "name": "Europe", "status": "operational", "group": True, "group_id": None},
    {"id": "c1", "name": "Frankfurt", "status": "operational", "group": False, "group_id": "g1"},
    {"id": "c2", "name": "Dashboard", "status": "operational", "group": False, "group_id": None},
]


def incident(name: str, status: str = "investigating", *components: str, **more: object) -> dict[str, object]:
    """Return an incident as a page has it."""
    return {
        "id": "p31zjtct2jer",
        "name": name,
        "status": status,
        "impact": "major",
        "shortlink": f"https://stspg.example/{name}",
        "created_at": "2024-05-14T14:22:39.441-06:00",
        "updated_at": "2024-05-14T21:00:00.123Z",
        "incident_updates": [{"body": "We are on it.", "status": status}],
        "components": [component for component in COMPONENTS if component["name"] in components],
        **more,
    }


def summary(*incidents: object, **more: object) -> dict[str, object]:
    """Return the summary that a page has of these incidents."""
    page = {"id": "y2j98763l56x", "name": "Provider", "url": "https://status.example", "time_zone": "Etc/UTC"}
    return {"page": page, "components": COMPONENTS, "incidents": list(incidents), "scheduled_maintenances": [], **more}


def check_of(pages: Pages, answer: object = None, status: int = 200, **options: Any) -> AtlassianStatusPage:
    """Return a check of a provider that answers in this way, or as it did before, after a run."""
    if answer is not None:
        pages.page(PATH, answer if isinstance(answer, str) else json.dumps(answer), status)

    @dataclasses.dataclass(repr=False)
    class Provider(AtlassianStatusPage):
        base_url: ClassVar[str] = pages.url

    check = Provider(**options)
    check.run_check()
    return check


def told(pages: Pages, answer: object = None, status: int = 200, **options: Any) -> list[str]:
    """Return the texts of the errors of such a run."""
    return [str(error) for error in check_of(pages, answer, status, **options).errors]


@pytest.mark.parametrize("status", ["investigating", "identified", "monitoring"])
def test_check__incident(pages: Pages, status: str) -> None:
    """An incident that is going on is warned of, by its name and link, as of when it was last spoken of."""
    check = check_of(pages, summary(incident("outage", status)))
    [error] = check.errors
    assert str(error) == "warning: outage: https://stspg.example/outage"
    assert isinstance(error, StatusPageWarning)
    assert error.timestamp == datetime.datetime(2024, 5, 14, 21, 0, 0, 123000, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "answer",
    [
        summary(),
        *(summary(incident("outage", status)) for status in ("resolved", "postmortem", "completed")),
        summary(scheduled_maintenances=[incident("upgrade", "in_progress")]),
    ],
)
def test_check__no_incident(pages: Pages, answer: object) -> None:
    """An incident that is over is none, nor is maintenance that was announced."""
    assert told(pages, answer) == []


def test_check__component(pages: Pages) -> None:
    """Where a component is given, or a group of them, incidents of others do not count."""
    answer = summary(incident("slow", "identified", "Frankfurt"), incident("odd", "identified", "Dashboard"))
    assert told(pages, answer, component="Dashboard") == ["warning: odd: https://stspg.example/odd"]
    assert told(pages, component="Europe") == ["warning: slow: https://stspg.example/slow"]
    assert len(told(pages)[0].splitlines()) == 2
    assert told(pages, component="Asia") == ["warning: the status page has no component 'Asia'"]


def test_check__component_without_id(pages: Pages) -> None:
    """A component that cannot be a group has none in it."""
    components = [{"name": "Builds", "id": None}, {"name": "Other", "id": "c1", "group_id": None}]
    answer = summary({**incident("odd"), "components": [{"name": "Other"}]}, components=components)
    assert told(pages, answer, component="Builds") == []


def test_check__incident_without_details(pages: Pages) -> None:
    """What an incident does not say is left out."""
    bare = {"name": "outage", "status": "investigating"}
    odd = incident("odd", components=None, shortlink="javascript:alert()", updated_at="2024-05-14T21:00:00")
    dated = incident("late", shortlink="")
    assert told(pages, summary(bare, odd, dated)) == ["warning: outage\nodd\nlate"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps(summary())[:-10],
        {"incidents": None},
        {"incidents": {"name": "outage"}},
        {"incidents": ["outage"]},
        {"incidents": [{}]},
        {"incidents": [incident("outage", components=["Frankfurt"])]},
        {"incidents": [incident("outage", updated_at="yesterday")]},
    ],
)
def test_check__malformed(pages: Pages, answer: object) -> None:
    """What is no summary is warned of, and is no other error."""
    assert told(pages, answer) == [UNKNOWN]


@pytest.mark.parametrize(("status", "answer"), [(404, ""), (500, summary()), (403, "<html>")])
def test_check__other_status(pages: Pages, status: int, answer: object) -> None:
    """A page that cannot be had is warned of."""
    assert told(pages, answer, status) == [f"warning: the status page answered HTTP {status}"]


def test_base_url__missing() -> None:
    """A check without an address says so."""
    check = AtlassianStatusPage()
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "warning: the URL of the status page cannot be used (UnsupportedProtocol)"
    ]


NAMES = ["Cloudflare", "DigitalOcean", "FlyIo", "GitHub", "Npm", "PlatformSh", "PyPI", "Render", "Sentry", "Vercel"]


@pytest.mark.parametrize("name", NAMES)
def test_providers__address_and_label(name: str) -> None:
    """Each has an address of its own, over TLS, and is called by its name alone."""
    providers: list[type[AtlassianStatusPage]] = [getattr(atlassian, name) for name in NAMES]
    check = providers[NAMES.index(name)]()
    assert check.base_url.startswith("https://")
    assert label_of(check) == name
    assert len({provider().base_url for provider in providers}) == len(NAMES)


def test_providers__component() -> None:
    """Where a page tells of far more, the component that matters is the default."""
    assert (Npm().component, PyPI().component) == ("Package installation", "PyPI")
    assert label_of(GitHub(component="Actions")) == "GitHub(component='Actions')"


@pytest.mark.parametrize("region", ["eu", GitHub.EnterpriseRegion.eu])
def test_github__enterprise_region(region: str) -> None:
    """The customers of a region have a page of their own."""
    check = GitHub(enterprise_region=region)
    assert check.base_url == "https://eu.githubstatus.com"
    assert label_of(check) == "GitHub(enterprise_region='eu')"
    assert GitHub().base_url == "https://www.githubstatus.com"
