"""The checks of providers with Atlassian's status pages, against what such pages have been seen to answer."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from health_check.contrib import atlassian
from health_check.contrib.atlassian import AtlassianStatusPage, GitHub, Npm, PyPI
from health_check.exceptions import StatusPageWarning
from health_check.registry.definitions import label_of
from tests.support.pages import Pages, serving_pages

PATH = "/api/v2/summary.json"

UNKNOWN = "warning: the status page answered in an unknown form"

COMPONENTS = [
    {"id": "g1", "name": "Europe", "status": "operational", "group": True, "group_id": None},
    {"id": "c1", "name": "Frankfurt", "status": "operational", "group": False, "group_id": "g1"},
    {"id": "c2", "name": "Dashboard", "status": "operational", "group": False, "group_id": None},
]


@pytest.fixture
def provider() -> Iterator[Pages]:
    """A provider that answers with what the test says."""
    with serving_pages() as pages:
        yield pages


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


def check_of(provider: Pages, answer: object = None, status: int = 200, **options: Any) -> AtlassianStatusPage:
    """Return a check of a provider that answers in this way, or as it did before, after a run."""
    if answer is not None:
        provider.page(PATH, answer if isinstance(answer, str) else json.dumps(answer), status)

    @dataclasses.dataclass(repr=False)
    class Provider(AtlassianStatusPage):
        base_url: ClassVar[str] = provider.url

    check = Provider(**options)
    check.run_check()
    return check


def told(provider: Pages, answer: object = None, status: int = 200, **options: Any) -> list[str]:
    """Return the texts of the errors of such a run."""
    return [str(error) for error in check_of(provider, answer, status, **options).errors]


def test_check__no_incident(provider: Pages) -> None:
    """A page without incidents is in order."""
    assert told(provider, summary()) == []


@pytest.mark.parametrize("status", ["investigating", "identified", "monitoring"])
def test_check__incident(provider: Pages, status: str) -> None:
    """An incident that is going on is warned of, by its name and link, as of when it was last spoken of."""
    check = check_of(provider, summary(incident("outage", status)))
    [error] = check.errors
    assert str(error) == "warning: outage: https://stspg.example/outage"
    assert isinstance(error, StatusPageWarning)
    assert error.timestamp == datetime.datetime(2024, 5, 14, 21, 0, 0, 123000, tzinfo=datetime.UTC)


@pytest.mark.parametrize("status", ["resolved", "postmortem", "completed"])
def test_check__incident_is_over(provider: Pages, status: str) -> None:
    """An incident that is over is none."""
    assert told(provider, summary(incident("outage", status))) == []


def test_check__maintenance(provider: Pages) -> None:
    """Maintenance that was announced is no incident."""
    assert told(provider, summary(scheduled_maintenances=[incident("upgrade", "in_progress")])) == []


def test_check__component(provider: Pages) -> None:
    """Where a component is given, or a group of them, incidents of others do not count."""
    answer = summary(incident("slow", "identified", "Frankfurt"), incident("odd", "identified", "Dashboard"))
    assert told(provider, answer, component="Dashboard") == ["warning: odd: https://stspg.example/odd"]
    assert told(provider, component="Europe") == ["warning: slow: https://stspg.example/slow"]
    assert len(told(provider)[0].splitlines()) == 2
    assert told(provider, component="Asia") == ["warning: the status page has no component 'Asia'"]


def test_check__component_without_id(provider: Pages) -> None:
    """A component that cannot be a group has none in it."""
    components = [{"name": "Builds", "id": None}, {"name": "Other", "id": "c1", "group_id": None}]
    answer = summary({**incident("odd"), "components": [{"name": "Other"}]}, components=components)
    assert told(provider, answer, component="Builds") == []


def test_check__incident_without_details(provider: Pages) -> None:
    """What an incident does not say is left out."""
    bare = {"name": "outage", "status": "investigating"}
    odd = incident("odd", components=None, shortlink="javascript:alert()", updated_at="2024-05-14T21:00:00")
    dated = incident("late", shortlink="")
    assert told(provider, summary(bare, odd, dated)) == ["warning: outage\nodd\nlate"]


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
def test_check__malformed(provider: Pages, answer: object) -> None:
    """What is no summary is warned of, and is no other error."""
    assert told(provider, answer) == [UNKNOWN]


@pytest.mark.parametrize(("status", "answer"), [(404, ""), (500, summary()), (403, "<html>")])
def test_check__other_status(provider: Pages, status: int, answer: object) -> None:
    """A page that cannot be had is warned of."""
    assert told(provider, answer, status) == [f"warning: the status page answered HTTP {status}"]


def test_base_url__missing() -> None:
    """A check without an address says so."""
    check = AtlassianStatusPage()
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "warning: the URL of the status page cannot be used (UnsupportedProtocol)"
    ]


PROVIDERS = [
    value
    for value in vars(atlassian).values()
    if isinstance(value, type) and issubclass(value, AtlassianStatusPage) and value is not AtlassianStatusPage
]


def test_providers__all_there() -> None:
    """There is a check of each of these providers."""
    names = "Cloudflare DigitalOcean FlyIo GitHub Npm PlatformSh PyPI Render Sentry Vercel"
    assert sorted(provider.__name__ for provider in PROVIDERS) == names.split()


@pytest.mark.parametrize("check_class", PROVIDERS)
def test_providers__address_and_label(check_class: type[AtlassianStatusPage]) -> None:
    """Each has an address of its own, over TLS, and is called by its name alone."""
    check = check_class()
    assert check.base_url.startswith("https://")
    assert label_of(check) == check_class.__name__
    assert len({provider().base_url for provider in PROVIDERS}) == len(PROVIDERS)


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
