"""The HTML page."""

from __future__ import annotations

import datetime
import html.parser
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.history import History
from health_check.monitor.reports import Row
from health_check.past import Period
from health_check.records import Message, Record
from health_check.views import HealthCheckView
from health_check.views.html import duration, hosts_of, render_page
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.places import result_at
from tests.support.readings import reading, report, row, unknown

DOCUMENT = re.compile(r"<!doctype html>\s*<html.*</html>\s*", re.DOTALL | re.IGNORECASE)


class Rows(html.parser.HTMLParser):
    """Collects the text of each cell of each row of a table's body."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.times: list[str] = []
        self._inside = False
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tbody":
            self._inside = True
        elif tag == "tr" and self._inside:
            self.rows.append([])
        elif tag in ("th", "td") and self._inside:
            self.rows[-1].append("")
        elif tag == "time":
            self.times.append(str(dict(attrs)["datetime"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "tbody":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def page(*rows: Row) -> str:
    """Return the page of these rows, as our own template has it."""
    request = RequestFactory().get("/health/")
    context: dict[str, Any] = {"report": report(*rows), "plugins": [], "errors": False}
    return render_page(request, ["health_check/index.html"], context, status=200).content.decode()


def test_page__rows() -> None:
    """Each row has the check's label, state, message, time taken and how long ago it ran."""
    found = Rows(
        page(
            row(reading("Database", time_taken=0.0123)),
            row(reading("Disk", ServiceWarning("95 % in use"), time_taken=2.5, finished=time.time() - 42)),
        )
    )
    first, second = ([cell.strip() for cell in cells] for cells in found.rows)
    assert first == ["Database", "ok", "", "12.3 ms", "0 s ago"]
    assert second[:4] == ["Disk", "warning", "warning: 95 % in use", "2.50 s"]
    assert second[4] in ("42 s ago", "43 s ago")


def test_page__several_messages() -> None:
    """All errors of a check are shown."""
    found = Rows(page(row(reading("Search", ServiceUnavailable("gone"), ServiceUnavailable("one\ntwo")))))
    assert "unavailable: gone" in found.rows[0][2]
    assert "two" in found.rows[0][2]


def test_page__never_ran() -> None:
    """A check that never ran is unknown, took no time and ran never."""
    found = Rows(page(row(unknown("Mail", ServiceUnavailable("no result yet")))))
    assert [cell.strip() for cell in found.rows[0]] == [
        "Mail",
        "unknown",
        "unavailable: no result yet",
        "–",
        "never",
    ]


def test_page__not_critical() -> None:
    """A check that is not critical is marked."""
    found = Rows(page(row(reading("Database")), row(reading("Search"), critical=False)))
    assert "not critical" not in found.rows[0][0]
    assert "not critical" in found.rows[1][0]


@pytest.mark.parametrize("use_tz", [True, False])
def test_page__time_for_machines(settings: Settings, use_tz: bool) -> None:
    """The time of the run is there to the second, with its offset."""
    settings.USE_TZ = use_tz
    [moment] = Rows(page(row(reading("Database", finished=1_700_000_000)))).times
    assert datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC).timestamp() == 1_700_000_000
    assert datetime.datetime.fromisoformat(moment).tzinfo is not None


@pytest.mark.parametrize(
    ("age", "words"), [(-5, "0 s ago"), (100, "100 s ago"), (3 * 3600 + 60, "3\xa0hours, 1\xa0minute ago")]
)
def test_page__age(age: float, words: str) -> None:
    """The age is in seconds at first and in larger units later; a clock set back gives no negative one."""
    finished = time.time() - age
    shown = Rows(page(row(reading("Database", finished=finished)))).rows[0][4].strip()
    assert shown in (words, words.replace("100 s", "101 s"))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "< 0.1 ms"), (0.0015, "1.5 ms"), (1, "1.00 s"), (75.128, "75.13 s")]
)
def test_duration__units(seconds: float, words: str) -> None:
    """A duration is in milliseconds below one second."""
    assert duration(seconds) == words


def test_page__without_checks() -> None:
    """An endpoint without checks says so, without an empty table."""
    document = page()
    assert "<table" not in document
    assert "no checks" in document


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}", "&lt;b"]
)
def test_page__escapes(text: str) -> None:
    """Labels and messages are text, whatever is in them."""
    document = page(row(reading(text, ServiceUnavailable(text))))
    found = Rows(document)
    assert found.rows[0][0].strip() == text
    assert found.rows[0][2].strip() == f"unavailable: {text}"
    assert "<script" not in document
    assert "<img" not in document


def test_page__self_contained() -> None:
    """The page loads nothing and runs nothing."""
    document = page(row(reading("Database")), row(reading("Cache", "gone")))
    assert DOCUMENT.fullmatch(document)
    forbidden = r"<script|<link|<img|<iframe|<form|\ssrc=|\shref=|url\(|@import|\son\w+=|https?://|http-equiv"
    assert re.findall(forbidden, document) == []


def test_page__responsive_and_accessible() -> None:
    """The page names its language, scales to a phone, has both colour schemes and tells headers from cells."""
    document = page(row(reading("Database")))
    assert '<html lang="en">' in document
    assert 'name="viewport" content="width=device-width' in document
    assert "prefers-color-scheme: dark" in document
    assert '<th scope="row">' in document
    assert document.count('<th scope="col"') == 5
    assert document.count("<h1") == 1


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
    assert [cell.strip() for cell in Rows(document).rows[0][:2]] == ["Fine", "ok"]


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


def test_own_template__of_our_name(own_templates: OwnTemplates, mount_checks: Mount, client: Client) -> None:
    """A project may replace our template by one of the same name."""
    own_templates({"health_check/index.html": "own"})
    mount_checks(Fine)
    assert client.get("/health/").content == b"own"


def test_own_template__request_and_context_processors(
    own_templates: OwnTemplates, mount: Mount, client: Client
) -> None:
    """The project's own template has the request and the context processors."""
    own_templates({"own.html": "{{ request.path }}"}, "django.template.context_processors.request")
    mount(path("health/", HealthCheckView.as_view(checks=[], template_name="own.html")))
    assert client.get("/health/").content == b"/health/"


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


def test_own_template__missing(mount: Mount, client: Client) -> None:
    """A template that does not exist gives the states in plain text."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine], template_name="missing.html")))
    response = client.get("/health/")
    assert (response.status_code, response.content) == (200, b"Fine: OK\n")


def test_our_template__needs_nothing_of_the_project(
    own_templates: OwnTemplates, mount_checks: Mount, client: Client
) -> None:
    """Our own page calls no context processor, which might query the database that is down."""
    own_templates({}, f"{__name__}.raising_context_processor")
    mount_checks(Broken)
    response = client.get("/health/")
    assert response.status_code == 500
    assert [cells[0].strip() for cells in Rows(response.content.decode()).rows] == ["Broken"]


def test_our_template__without_engine(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """The page is there for a project without any template engine, too."""
    settings.TEMPLATES = []
    mount_checks(Fine)
    response = client.get("/health/")
    assert response.status_code == 200
    assert DOCUMENT.fullmatch(response.content.decode())


HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(1)'>"""


class Bars(html.parser.HTMLParser):
    """Collects the state and the title of each bar."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.bars: list[tuple[str, str]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "span" and "title" in found:
            self.bars.append((str(found["class"]), str(found["title"])))


@pytest.fixture
def know(monkeypatch: pytest.MonkeyPatch) -> Callable[[History], None]:
    """A function that makes this what the store knows of former runs and other hosts."""
    return lambda known: monkeypatch.setattr("health_check.monitor.runtime.history", lambda readings: known)


def test_bars__half_hours(know: Callable[[History], None]) -> None:
    """Each half hour with runs is a bar, oldest first, and its title says when it was, and how the runs ended."""
    periods = (
        Period(1800, ok=3, error=2, timeout=1),
        Period(3600),
        Period(5400, ok=1, warning=1),
        Period(7200, ok=1),
    )
    know(History(half_hours={"Database": periods}))
    document = page(row(reading("Database")), row(reading("Cache")))
    assert Bars(document).bars == [
        ("error", "00:30: 3 ok, 2 error, 1 timeout"),
        ("warning", "01:30: 1 ok, 1 warning"),
        ("ok", "02:00: 1 ok"),
    ]
    assert document.count('aria-label="The last 3 half hours with runs"') == 1


@pytest.mark.parametrize(
    "known", [History(), History(half_hours={"Database": (Period(0),), "Other": (Period(0, ok=1),)})]
)
def test_bars__without_history(know: Callable[[History], None], known: History) -> None:
    """Where nothing is known of former runs and other hosts, there is nothing to be seen of them."""
    know(known)
    document = page(row(reading("Database")))
    assert Bars(document).bars == []
    assert "The last" not in document
    assert "Other hosts" not in document
    assert document.count("<table") == 1


def known_of(host: str, **errors: Sequence[Exception]) -> History:
    """Return what is known of the checks of another host."""
    records = {
        label: Record.after(None, result_at(time.time() - 60, *map(Message.of, found)), max_age=10)
        for label, found in errors.items()
    }
    return History(elsewhere={host: records})


def test_hosts__other_hosts(know: Callable[[History], None]) -> None:
    """Each other host is a row: how many of its checks are how, what is wrong there, and when it was heard of last."""
    know(known_of("web2", Database=[ServiceUnavailable("gone"), ServiceWarning("soon")], Cache=[], Mail=[]))
    document = page(row(reading("Database")))
    here, there = ([cell.strip() for cell in cells] for cells in Rows(document).rows)
    assert here[0] == "Database"
    assert there[:3] == ["web2", "2 ok, 1 error", "Database: unavailable: gone; warning: soon"]
    assert re.fullmatch(r"6[01] s ago", there[3])
    assert "Other hosts" in document


def test_hosts__heard_of_last() -> None:
    """A host's row tells of its newest record."""
    old, new = (Record.after(None, result_at(time.time() - age), max_age=10) for age in (3600, 10))
    (host,) = hosts_of(History(elsewhere={"web2": {"Database": old, "Cache": new}}))
    assert host["age"] in ("10 s ago", "11 s ago")
    assert host["records"] == []


def test_page__escapes_what_other_hosts_say(know: Callable[[History], None]) -> None:
    """What another host wrote is text as well."""
    error = ServiceUnavailable(HOSTILE)
    know(known_of(HOSTILE, **{HOSTILE: [error]}))
    document = page(row(reading("Database")))
    assert "<script" not in document
    assert "<img" not in document
    there = [cell.strip() for cell in Rows(document).rows[1]]
    assert (there[0], there[2]) == (HOSTILE, f"{HOSTILE}: unavailable: {HOSTILE}")


def test_page__history_of_real_runs(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """The page of a site shows the runs that there were."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 0}
    mount_checks(Fine, Broken)
    for _ in range(3):
        document = client.get("/health/").content.decode()
    assert sorted({state for state, _ in Bars(document).bars}) == ["error", "ok"]


def test_own_template__former_runs(
    own_templates: OwnTemplates, mount: Mount, client: Client, know: Callable[[History], None]
) -> None:
    """A template of the project's own may show former runs and other hosts, too."""
    know(History(half_hours={"Fine": (Period(0, ok=1),)}, elsewhere=known_of("web2", Mail=[]).elsewhere))
    own_templates({"own.html": "{% for line in lines %}{{ line.past.0.state }}{% endfor %}{{ hosts.0.name }}"})
    mount(path("health/", HealthCheckView.as_view(checks=[Fine], template_name="own.html")))
    assert client.get("/health/").content == b"okweb2"
