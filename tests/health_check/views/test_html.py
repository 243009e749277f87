"""The HTML page."""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor import runtime
from health_check.monitor.history import History
from health_check.monitor.reports import Row
from health_check.past import HALF_HOUR, HALF_HOURS, Incident, Period, gapless
from health_check.records import Message, Record
from health_check.registry.policies import Policy
from health_check.views import HealthCheckView
from health_check.views.assets import read
from health_check.views.html import render_page
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.places import result_at
from tests.support.readings import reading, report, row, unknown
from tests.support.status_page import StatusPage, rows_of

DOCUMENT = re.compile(r"<!doctype html>\s*<html.*</html>\s*", re.DOTALL | re.IGNORECASE)


def page(*rows: Row) -> str:
    """Return the page of these rows, as our own template has it."""
    request = RequestFactory().get("/health/")
    context: dict[str, Any] = {"report": report(*rows), "plugins": [], "errors": False}
    return render_page(request, ["health_check/index.html"], context, status=200).content.decode()


def test_page__rows() -> None:
    """Each row has the check's state with a sign, its label, how long it has been so, the time taken and the age.

    One that is not critical is marked, and one that never ran is unknown.
    """
    found = rows_of(
        page(
            row(reading("Database", time_taken=0.0123, finished=time.time() - 42)),
            row(reading("Disk", ServiceWarning("95 % in use"), time_taken=2.5), critical=False),
            row(unknown("Mail", ServiceUnavailable("no result yet"))),
        )
    )
    assert [(each["state"], each["name"], each["message"]) for each in found] == [
        ("? unknown", "Mail", "unavailable: no result yet"),
        ("! warning", "Disk optional", "warning: 95 % in use"),
        ("✓ ok", "Database", ""),
    ]
    ages = r"never run", r"for \d s ?run \d s ago, 2\.50 s", r"for [45]\d s ?run [45]\d s ago, 12\.3 ms"
    assert [bool(re.fullmatch(age, each["age"])) for each, age in zip(found, ages, strict=True)] == [True] * 3


def test_page__several_messages() -> None:
    """All errors of a check are shown; of long ones the rest is folded."""
    document = page(row(reading("Search", ServiceUnavailable("gone"), ServiceUnavailable("one\ntwo"))))
    assert rows_of(document)[0]["message"] == "unavailable: gone unavailable: one two"
    assert "<details><summary>unavailable" not in document
    document = page(row(reading("Search", ServiceUnavailable("x" * 1000))))
    assert f"<details><summary>unavailable: {'x' * 50}" in document
    assert rows_of(document)[0]["message"].endswith("x" * 1000)


@pytest.mark.parametrize("use_tz", [True, False])
def test_page__time_for_machines(settings: Settings, use_tz: bool) -> None:
    """The time of the run is there to the second, with its offset."""
    settings.USE_TZ = use_tz
    moment = StatusPage(page(row(reading("Database", finished=1_700_000_000)))).times[-1]
    assert datetime.datetime.fromisoformat(moment).timestamp() == 1_700_000_000
    assert datetime.datetime.fromisoformat(moment).tzinfo is not None


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}", "&lt;b"]
)
def test_page__escapes(text: str) -> None:
    """Labels and messages are text, whatever is in them."""
    policy = Policy(title=text, description=text, group=text, tags=(("owner", text),))
    hostile = row(reading(text, ServiceUnavailable(text)))
    definition = dataclasses.replace(hostile.reading.definition, policies=(policy,))
    titled = dataclasses.replace(hostile, reading=dataclasses.replace(hostile.reading, definition=definition))
    for shown in (hostile, titled):
        document = page(shown)
        (found,) = rows_of(document)
        assert found["name"].startswith(text)
        assert found["message"] == f"unavailable: {text}"
        assert "<script" not in document
        assert "<img" not in document


@pytest.mark.parametrize("rows", [[], [row(reading("Database")), row(reading("Cache", "gone"))]], ids=["none", "two"])
def test_page__self_contained_and_for_everybody(rows: Sequence[Row]) -> None:
    """The page runs nothing, has no styles of its own, and loads nothing but from its own address.

    It names its language, scales to a phone, has both colour schemes, and one heading of the first level.
    """
    document = page(*rows)
    assert DOCUMENT.fullmatch(document)
    forbidden = r"<script|<style|<img|<iframe|\ssrc=|\sstyle=|url\(|@import|\son\w+=|https?://|http-equiv"
    assert re.findall(forbidden, document) == []
    addresses = re.findall(r'(?:href|action)="([^"]*)"', document)
    assert [address for address in addresses if not address.startswith(("?", "#", "/"))] == []
    assert '<html lang="en">' in document
    assert 'name="viewport" content="width=device-width' in document
    assert document.count("<h1") == 1
    assert b"prefers-color-scheme: dark" in read("css")[0]
    assert ('class="rows"' in document, "no checks" in document) == (bool(rows), not rows)


@pytest.mark.parametrize("name", ["atom", "rss", "json", "health%2Bjson"])
def test_page__alternates(mount_checks: Mount, client: Client, name: str) -> None:
    """The head tells where the same is for machines, and it is there."""
    mount_checks(Fine)
    document = client.get("/health/").content.decode()
    (media_type,) = re.findall(
        rf'<link rel="alternate" type="([^"]*)"[^>]* href="\?format={re.escape(name)}">', document
    )
    assert client.get(f"/health/?format={name}").headers["Content-Type"].startswith(media_type)


def test_page__refresh(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """A header has the browser load the page again, kept or not; a link pauses that."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4}
    mount_checks(Fine)
    for _ in range(2):
        response = client.get("/health/?refresh=10")
        assert response.headers["Refresh"] == "10"
        assert '<a href="?">pause</a>' in response.content.decode()
        assert "Refresh" not in client.get("/health/").headers
        assert "Refresh" not in client.get("/health/?refresh=10&format=json").headers


def test_page__problems_of_the_query(mount_checks: Mount, client: Client) -> None:
    """What cannot be used of a query string is said, and everything is shown."""
    mount_checks(Fine)
    document = client.get("/health/?state=<b>&refresh=x").content.decode()
    assert "There is no state &#x27;&lt;b&gt;&#x27;: use one of bad, ok" in document
    assert len(rows_of(document)) == 1


@pytest.mark.parametrize(
    ("query_string", "names"),
    [
        ("", ["Broken", "AsyncFine", "Shaky", "Fine"]),
        ("state=bad", ["Broken", "Shaky"]),
        ("state=warning", ["Shaky"]),
        ("state=unknown", []),
        ("q=FINE", ["Fine", "AsyncFine"]),  # those without a group come last while they are well
        ("q=fine+async", ["AsyncFine"]),
        ("group=Data", ["Shaky", "Fine"]),
        ("group=Data&state=ok", ["Fine"]),
        ("group=Nothing", []),
        ("sort=name", ["AsyncFine", "Broken", "Fine", "Shaky"]),
        ("check=Fine&check=Broken", ["Broken", "Fine"]),
    ],
)
def test_page__filters(mount_checks: Mount, client: Client, query_string: str, names: list[str]) -> None:
    """Filters choose rows and their order; the headline and the status are about all, but for ``?check=``."""
    mount_checks(AsyncFine, (Fine, {"group": "Data"}), Broken, (Shaky, {"group": "Data"}))
    response = client.get(f"/health/?{query_string}")
    assert response.status_code == 500
    document = response.content.decode()
    assert [found["name"] for found in rows_of(document)] == names
    assert "Failing: Broken" in document
    assert ("No check is like this." in document) == (not names)


OwnTemplates = Callable[..., None]


def raising_context_processor(request: object) -> dict[str, Any]:
    """Fail as a context processor does whose database is down."""
    raise ZeroDivisionError("a text that nobody meant for readers")


@pytest.fixture
def own_templates(settings: Settings) -> OwnTemplates:
    """A function that gives the project templates of its own, by keyword or dict, and context processors."""

    def set_templates(templates: dict[str, str], *context_processors: str) -> None:
        loaders = [
            ("django.template.loaders.locmem.Loader", templates),
            "django.template.loaders.app_directories.Loader",
        ]
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": loaders, "context_processors": list(context_processors)},
            }
        ]

    return set_templates


def test_own_template__blocks(own_templates: OwnTemplates, mount: Mount, client: Client) -> None:
    """A template that extends ours may replace the blocks title, extra_head and content."""
    own_templates(
        {
            "own.html": "{% extends 'health_check/index.html' %}{% block title %}Own title{% endblock %}"
            "{% block extra_head %}<meta name='own'>{% endblock %}{% block content %}<p>Own</p>{{ block.super }}"
            "{% endblock %}"
        }
    )
    mount(path("health/", HealthCheckView.as_view(checks=[Fine], template_name="own.html")))
    document = client.get("/health/").content.decode()
    assert "<title>Own title</title>" in document
    assert document.index("<meta name='own'>") < document.index("</head>") < document.index("<p>Own</p>")
    assert rows_of(document)[0]["name"] == "Fine"


def test_own_template__context(own_templates: OwnTemplates, mount: Mount, client: Client) -> None:
    """A template for django-health-check 3.2x finds its plugins, iterated or as items, and whether there are errors."""
    text = (
        "{% for plugin in plugins %}[{{ plugin }}|{{ plugin.status }}|{{ plugin.pretty_status }}|"
        "{{ plugin.critical_service }}|{{ plugin.time_taken|floatformat:1 }}]{% endfor %}"
        "{% for label, plugin in plugins.items %}<{{ label }}>{% endfor %}"
        "{% if errors %}errors{% else %}none{% endif %}"
    )
    own_templates({"own.html": text})
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine, Broken], template_name="own.html")),
        path("fine/", HealthCheckView.as_view(checks=[Fine], template_name="own.html")),
    )
    response = client.get("/health/")
    assert response.status_code == 500
    assert response.content.decode() == (
        "[Fine|1|OK|True|0.0][Broken|0|unavailable: Something went wrong!|True|0.0]<Fine><Broken>errors"
    )
    assert client.get("/fine/").content.decode() == "[Fine|1|OK|True|0.0]<Fine>none"


@pytest.mark.parametrize(
    "template", ["{% bad tag", "{{ plugins.0.nonsense|nonsense }}", "{% include 'missing' %}", "fine"]
)
@pytest.mark.parametrize(("check", "status"), [(Fine, 200), (Broken, 500)])
def test_own_template__raises(
    own_templates: OwnTemplates, mount: Mount, client: Client, template: str, check: type, status: int
) -> None:
    """A template or context processor that raises gives the status and the states in plain text."""
    own_templates({"own.html": template}, f"{__name__}.raising_context_processor")
    mount(path("health/", HealthCheckView.as_view(checks=[check], template_name="own.html")))
    response = client.get("/health/")
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.content.decode().startswith(f"{check.__name__}: ")
    assert b"ZeroDivisionError" not in response.content


@pytest.mark.parametrize("has_engine", [True, False])
def test_our_template__needs_nothing_of_the_project(
    own_templates: OwnTemplates, settings: Settings, mount_checks: Mount, client: Client, has_engine: bool
) -> None:
    """Our own page needs no template engine, and no context processor, which might query the database that is down."""
    own_templates({}, f"{__name__}.raising_context_processor")
    if not has_engine:
        settings.TEMPLATES = []
    mount_checks(Broken)
    response = client.get("/health/")
    assert response.status_code == 500
    assert DOCUMENT.fullmatch(response.content.decode())
    assert [found["name"] for found in rows_of(response.content.decode())] == ["Broken"]


HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(1)'>"""


@pytest.fixture
def know(monkeypatch: pytest.MonkeyPatch) -> Callable[[History], None]:
    """A function that makes this what the store knows of former runs and other hosts."""
    return lambda known: monkeypatch.setattr("health_check.monitor.runtime.history", lambda readings: known)


def known_of(host: str, **errors: Sequence[Exception]) -> History:
    """Return what is known of the checks of another host."""
    records = {
        label: Record.after(None, result_at(time.time() - 20, *map(Message.of, found)), max_age=10)
        for label, found in errors.items()
    }
    return History(elsewhere={host: records})


def test_page__escapes_what_former_runs_and_other_hosts_say(know: Callable[[History], None]) -> None:
    """What another process or host wrote is text as well."""
    error = ServiceUnavailable(HOSTILE)
    incident = Incident(label=HOSTILE, began=time.time() - 60, hosts=(HOSTILE,), message=HOSTILE)
    elsewhere = known_of(HOSTILE, **{HOSTILE: [error]}).elsewhere
    know(History(elsewhere=elsewhere, incidents=(incident,)))
    document = page(row(reading("Database")))
    assert "<script" not in document
    assert "<img" not in document
    incidents, hosts = StatusPage(document).tables
    assert (incidents[0][0], incidents[0][4], incidents[0][5]) == (HOSTILE, HOSTILE, f"{HOSTILE}\n  ")
    assert (hosts[1][0], hosts[1][3]) == (HOSTILE, f"{HOSTILE}: error there, unavailable: {HOSTILE}")


def test_page__history_of_real_runs(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """The page of a site shows the runs that there were, and the incident that they make."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 0}
    mount_checks(Fine, Broken)
    for _ in range(3):
        document = client.get("/health/").content.decode()
    found = StatusPage(document)
    assert [(state, title.partition(": ")[2]) for state, title in found.bars] == [("error", "3 of 3 runs not ok")]
    assert found.labels == [
        "Last 24h: error in 1 half hour; not observed in 47 half hours; 0.00 % up",
        "Last 24h: not observed in 47 half hours; 100 % up",
    ]
    ((incident,),) = found.tables
    assert (incident[0], incident[5].strip()) == ("Broken", "unavailable: Something went wrong!")


@pytest.mark.parametrize(
    ("templates", "template_name", "shown"),
    [
        ({"health_check/index.html": "own"}, "health_check/index.html", b"own"),
        ({"own.html": "{{ request.path }}"}, "own.html", b"/health/"),
        (
            {"own.html": "{% for line in lines %}{{ line.up }}{% endfor %} {{ hosts.1.name }} {{ headline }}"},
            "own.html",
            b"100 % web2 All checks pass",
        ),
        ({}, "missing.html", b"Fine: OK\n"),
    ],
)
def test_own_template__has_what_ours_shows(
    own_templates: OwnTemplates,
    mount: Mount,
    client: Client,
    know: Callable[[History], None],
    templates: dict[str, str],
    template_name: str,
    shown: bytes,
) -> None:
    """A template of the project's own, also of our name, has the request, its context processors, and what ours shows.

    Where it does not exist, the states are shown in plain text.
    """
    periods = gapless([Period(0)._replace(ok=1)], 1.0, length=HALF_HOUR, count=HALF_HOURS)
    know(History(half_hours={"Fine": periods}, elsewhere=known_of("web2", Mail=[]).elsewhere))
    own_templates(templates, "django.template.context_processors.request")
    mount(path("health/", HealthCheckView.as_view(checks=[Fine], template_name=template_name)))
    response = client.get("/health/")
    assert (response.status_code, response.content) == (200, shown)


@pytest.fixture
def _site(mount: Mount, settings: Settings) -> None:
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 0}
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine]), name="health"),
        path("ready/", view(checks=[Fine]), name="ready"),
        path("broken/", view(checks=[Broken]), name="broken"),
        path("closed/", view(checks=[Fine], open=False), name="closed"),
        path("unnamed-secret/", view(checks=[Fine])),
    )


def shown(document: str) -> list[tuple[str, str, str]]:
    """Return the name, the path and the status of each endpoint that a page links to."""
    found = re.findall(
        r'<a href="(/[^"]*)" title="([^"]*)"[^>]*>([^<]*)(?:<span class="status[^"]*">(\d+)</span>)?</a>', document
    )
    assert all(link == text.strip() for link, _, text, _ in found)
    return [(name, link, status) for link, name, _, status in found]


@pytest.mark.usefixtures("_site")
def test_addresses__what_is_known_is_told(client: Client) -> None:
    """Endpoints are shown by their paths; what one answers is told once its checks have run, if all may ask there."""
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers ask at /ready/." in document
    assert shown(document) == [
        ("health", "/health/", "200"),
        ("ready", "/ready/", ""),
        ("broken", "/broken/", ""),
        ("closed", "/closed/", ""),
    ]
    client.get("/broken/")
    assert ("broken", "/broken/", "500") in shown(client.get("/health/?q=").content.decode())


@pytest.mark.usefixtures("_site")
def test_addresses__what_load_balancers_get(client: Client) -> None:
    """The banner says what load balancers get where they ask, also while the host is drained."""
    client.get("/ready/")
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers get <strong>200</strong> at /ready/." in document
    assert "drained" not in document
    assert "Load balancers and robots get <strong>200</strong>." in client.get("/ready/").content.decode()
    runtime.drain()
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers get <strong>503</strong> at /ready/." in document
    assert "All checks pass here; this host is drained" in document
    assert ("ready", "/ready/", "503") in shown(document)


def test_addresses__nothing_without_details(client: Client, mount: Mount) -> None:
    """Who may see no details sees no other endpoint."""
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine], details="never"), name="health"),
        path("ready/", view(checks=[Fine]), name="ready"),
    )
    runtime.drain()
    document = client.get("/health/").content.decode()
    assert "/ready/" not in document
    assert "drained" not in document
