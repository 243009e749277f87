"""``?check=``: the answer about some of an endpoint's checks; and what query strings ask of pages."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpRequest
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check.views.query import NO_QUERY, Query, parse, query_of
from tests.conftest import Mount
from tests.support.checks import AsyncBroken, AsyncFine, Broken, Fine, Shaky, TwiceBroken
from tests.support.site.stacks import STACKS, Ask, wsgi

ODD = ["a=b", "a+b", "a&b", "a#b", "a/b", "it's", 'a "b"', "größe ☃", "100 %", "Search (shop)"]
"""Labels with signs that mean something in addresses."""

HARD = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
"""Settings under which records are kept, and answers with them."""


@dataclasses.dataclass
class Numbered(HealthCheck):
    """One of many that are ok."""

    number: int

    def check_status(self) -> None:
        """Find nothing wrong."""


@pytest.fixture
def _site(mount: Mount) -> None:
    view = HealthCheckView.as_view
    optional = (Broken, {"critical_service": False, "name": "Optional", "aliases": ["Search"]})
    checks: list[Any] = [
        Fine,
        Shaky,
        optional,
        *((Numbered, {"number": number, "name": label}) for number, label in enumerate(ODD)),
    ]
    mount(
        path("health/", view(checks=checks, error_status_code=503), name="health"),
        path("lenient/", view(checks=checks, warnings_as_errors=False), name="lenient"),
        path("ready/", view(checks=[Fine], readiness=True), name="ready"),
        path("guarded/", view(checks=[Fine], open=False, tokens=["token"]), name="guarded"),
        path("bare/", view(checks=[TwiceBroken], details="never"), name="bare"),
        path("live/", view(checks=[]), name="live"),
        path("own/", Own.as_view(), name="own"),
    )


class Own(HealthCheckView):
    """Chooses its checks in code."""

    def get_plugins(self) -> Any:
        yield "one", AsyncFine()
        yield "two", AsyncBroken()


site = pytest.mark.usefixtures("_site")


@pytest.fixture(params=[{}, HARD], ids=["tested", "kept"], autouse=True)
def _settings(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.HEALTH_CHECK = request.param


ANSWERS: list[tuple[str, int, list[str]]] = [
    ("/health/?check=Fine", 200, ["Fine"]),
    ("/health/?check=Shaky", 503, ["Shaky"]),
    ("/lenient/?check=Shaky", 200, ["Shaky"]),
    ("/health/?check=Optional", 503, ["Optional"]),
    ("/health/?check=Search", 503, ["Optional"]),
    ("/health/?check=Optional&check=Optional", 503, ["Optional"]),
    ("/health/?check=Fine&check=Optional", 200, ["Fine", "Optional"]),
    ("/health/?check=Optional&check=Fine&check=Shaky", 503, ["Optional", "Fine", "Shaky"]),
    ("/own/?check=one", 200, ["one"]),
    ("/own/?check=two", 500, ["two"]),
    *((f"/health/?check={quote(label, safe='')}", 200, [label]) for label in ODD),
]
"""The address, the status of the answer, and the labels in it."""


@site
@STACKS
def test_check__restricts_answer_and_status(ask: Ask) -> None:
    """JSON and text are about what is asked, and so is the status; a check that is alone counts, critical or not."""
    for url, status, labels in ANSWERS:
        for _ in range(2):  # the second is kept
            answer = ask(f"{url}&format=json")
            assert (answer.status_code, list(json.loads(answer.content))) == (status, labels), url
        text = ask(f"{url}&format=text")
        assert text.status_code == status, url
        well = [line.rpartition(": ")[0] for line in text.content.decode().splitlines() if ": OK" in line]
        assert well == [label for label in labels if label not in ("Shaky", "Optional", "two")]
        assert ask(url, method="HEAD").status_code == ask(url, method="OPTIONS").status_code == status, url


UNKNOWN = [
    ("/health/?check=fine", "Did you mean 'Fine'?"),
    ("/health/?check=", "There is no check '' at"),
    ("/health/?check=Fine&check=Nothing", "There is no check 'Nothing' at"),
    ("/ready/?check=Shaky", "There is no check 'Shaky' at"),
    ("/live/?check=Fine", "There is no check 'Fine' at"),
    ("/own/?check=three", "There is no check 'three' at"),
    ("/health/?check=%3Cscript%3E%00%1b", "There is no check '<script>"),
]
"""The address, and what the answer says."""


@site
@STACKS
@pytest.mark.parametrize("name", ["json", "text", "html", "health%2Bjson", "rss", "atom"])
def test_check__unknown(ask: Ask, name: str) -> None:
    """A check that the endpoint has not is 404, in plain words, whatever the format."""
    for url, remedy in UNKNOWN:
        answer = ask(f"{url}&format={name}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8"), url
        assert remedy in answer.content.decode()
        assert answer.headers["Cache-Control"] == "no-store"


@site
@STACKS
def test_check__after_access(ask: Ask) -> None:
    """Who is not let in does not learn which checks there are; who may read no messages reads none."""
    known, unknown = (ask(f"/guarded/?check={label}&format=json") for label in ("Fine", "Nothing"))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 401
    authorised = {"Authorization": "Bearer token"}
    assert ask("/guarded/?check=Nothing&format=json", headers=authorised).status_code == 404
    answer = ask("/bare/?check=TwiceBroken&format=json")
    assert (answer.status_code, json.loads(answer.content)) == (500, {"TwiceBroken": "error"})


@site
@STACKS
def test_check__while_drained(ask: Ask) -> None:
    """A readiness endpoint stays 503 while its host is drained, whatever it is asked about."""
    try:
        assert runtime.drain()
        answer = ask("/ready/?check=Fine&format=json")
        assert (answer.status_code, list(json.loads(answer.content))) == (503, ["draining", "Fine"])
        assert ask("/health/?check=Fine&format=json").status_code == 200
    finally:
        assert runtime.drain(undo=True)


@site
@STACKS
def test_check__runs_no_other(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A robot that watches one thing does not wait for, and pay for, the others."""
    ran: list[str] = []
    monkeypatch.setattr(Broken, "check_status", lambda self: ran.append("Broken"))
    assert ask("/health/?check=Fine&format=json").status_code == 200
    assert ran == []


@site
def test_check__in_a_subset_of_3x(settings: Settings, mount: Mount) -> None:
    """Of a subset that the route names, only its own checks can be asked for."""
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "SUBSETS": {"some": ["Fine"]}}
    mount(path("health/<str:subset>/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"))
    with pytest.warns(DeprecationWarning, match="SUBSETS"):
        assert wsgi("/health/some/?check=Fine&format=json").status_code == 200
    with pytest.warns(DeprecationWarning, match="SUBSETS"):
        assert wsgi("/health/some/?check=Broken&format=json").status_code == 404


@pytest.mark.parametrize(
    ("query_string", "expected"),
    [
        ("", NO_QUERY),
        ("x=1", NO_QUERY),
        ("state=bad&q=+data++base&group=Data&range=7d&sort=slow&refresh=10", None),
        ("refresh=off", NO_QUERY),
        ("&".join(f"p{number}=1" for number in range(2000)), NO_QUERY),
        ("check=a&check=b&check=a", Query(checks=("a", "b"))),
        ("group=Data+%26+more", Query(group="Data & more")),
    ],
)
def test_parse__query_strings(query_string: str, expected: Query | None) -> None:
    """What a query string asks for; what is unknown, and more than Django reads, asks for nothing."""
    wanted = expected or Query(state="bad", text="data base", group="Data", range="7d", sort="slow", refresh=10)
    assert parse(query_string) == wanted
    assert parse(query_string).problems == []
    assert parse(wanted.link().removeprefix("?")) == wanted


@pytest.mark.parametrize(
    ("query_string", "problem"),
    [
        ("state=broken", "There is no state 'broken': use one of bad, ok, warning, error, unknown."),
        ("range=1y", "There is no range '1y': use one of 24h, 7d, 30d, 90d."),
        ("sort=size", "There is no sort 'size': use one of state, name, slow, uptime."),
        ("refresh=1", "refresh cannot be '1': use off, or a number of seconds from 2 to 3600."),
        ("refresh=-5", "refresh cannot be '-5': use off, or a number of seconds from 2 to 3600."),
        ("refresh=9999999999", "refresh cannot be '9999999999': use off, or a number of seconds from 2 to 3600."),
    ],
)
def test_parse__what_cannot_be_used(query_string: str, problem: str) -> None:
    """The default holds, and a sentence says what could be asked for."""
    assert parse(query_string) == NO_QUERY
    assert parse(query_string).problems == [problem]


def test_query__of_other_bytes(rf: Any) -> None:
    """Bytes that are no UTF-8 give a label that no check has, and no error."""
    request: HttpRequest = rf.get("/health/?check=%ff")
    assert query_of(request).checks == ("\N{REPLACEMENT CHARACTER}",)
