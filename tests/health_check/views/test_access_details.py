"""Endpoints without details: labels and states are shown, and nothing that a check has said."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)
from health_check.monitor import runtime
from health_check.monitor.history import History
from health_check.past import HALF_HOUR, HALF_HOURS, Failure, Incident, Period, gapless
from health_check.records import Message, Record, State
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Blown, Fine
from tests.support.places import result_at
from tests.support.site.planted import PRIVATE, SECRET, TOKEN
from tests.support.site.stacks import STACKS, Ask, wsgi

PLANTED = "planted"
"""In every text that nobody may see here."""

FORMATS = ["html", "json", "health+json", "text", "rss", "atom"]
LABELS = ("Fine", "Weak", "Down", "Blown")

RUNNING = pytest.mark.parametrize("configuration", [{}, {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}], ids=["here", "threads"])


class Weak(HealthCheck):
    """Warns."""

    def check_status(self) -> None:
        self.add_error(ServiceWarning(f"{PLANTED} warning"))


class Down(HealthCheck):
    """Has several things to say."""

    def check_status(self) -> None:
        self.add_error(ServiceUnavailable(f"{PLANTED} at 10.0.0.9:5432\n{PLANTED} again"))
        self.add_error(ServiceReturnedUnexpectedResult(PLANTED))
        self.add_error(HealthCheckException(f"<b>{PLANTED}</b>"))


CHECKS = [Fine, Weak, Down, Blown]


def mounted(mount: Mount, view_class: type[HealthCheckView] = HealthCheckView, **options: Any) -> None:
    """Mount an endpoint."""
    mount(path("health/", view_class.as_view(**{"checks": CHECKS, "details": "never", **options}), name="health"))


@STACKS
@RUNNING
@pytest.mark.parametrize("details", ["never", "authorized", "always"])
@pytest.mark.parametrize("name", FORMATS)
def test_format__without_messages(
    ask: Ask, configuration: dict[str, Any], details: str, name: str, settings: Settings, mount: Mount
) -> None:
    """Every format has all labels, and the status it has with messages."""
    settings.HEALTH_CHECK = configuration
    mounted(mount, details=details)
    response = ask(f"/health/?format={name}")
    body = response.content.decode()
    assert response.status_code == (200 if name in ("rss", "atom") else 500)
    assert [label for label in LABELS if label not in body] == (["Fine"] if name in ("rss", "atom") else [])
    assert (PLANTED in body) == (details == "always")
    assert ("10.0.0.9" in body) == (details == "always")


@STACKS
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("json", b'{"Fine": "OK", "Weak": "warning", "Down": "error", "Blown": "error"}'),
        ("text", b"Fine: OK\nWeak: warning\nDown: error\nBlown: error\n"),
    ],
)
def test_bodies__states(ask: Ask, name: str, body: bytes, mount: Mount) -> None:
    """A state stands where the messages were; "OK" stays "OK"."""
    mounted(mount, error_status_code=503)
    response = ask(f"/health/?format={name}")
    assert (response.status_code, response.content) == (503, body)


@STACKS
@RUNNING
def test_unusable_entry__state(ask: Ask, configuration: dict[str, Any], settings: Settings, mount: Mount) -> None:
    """An entry that is unusable is a state, too, without what is wrong with it."""
    settings.HEALTH_CHECK = configuration
    mounted(mount, checks=[("tests.support.checks.Fine", {"planted_option": PLANTED})])
    response = ask("/health/?format=json")
    assert response.status_code == 500
    assert b'"error"}' in response.content
    assert PLANTED.encode() not in response.content.partition(b":")[2]


@STACKS
@pytest.mark.parametrize("details", ["never", "always"])
def test_page__neither_past_nor_other_hosts(
    ask: Ask, details: str, monkeypatch: pytest.MonkeyPatch, mount: Mount
) -> None:
    """The pages have no history and no hosts, and do not say what a check is; with details they do."""
    result = result_at(time.time(), Message.of(ServiceUnavailable(f"{PLANTED} there")))
    record = Record.after(None, result, max_age=10)
    periods = gapless([Period(0)._replace(ok=1)], 1.0, length=HALF_HOUR, count=HALF_HOURS)
    known = History(
        half_hours={"Fine": periods},
        days={"Fine": periods},
        incidents=(Incident(label="Fine", began=time.time() - 5, message=f"{PLANTED} before"),),
        elsewhere={f"{PLANTED}-host": {"Fine": record}},
    )
    failure = Failure(finished=1.0, state=State.ERROR, host="", message=f"{PLANTED} failure")
    monkeypatch.setattr(runtime, "history", lambda readings: known)
    monkeypatch.setattr(runtime, "failures", lambda readings: {"Fine": (failure,)})
    options = {
        "description": f"{PLANTED} use",
        "runbook": f"https://{PLANTED}.example.com/",
        "tags": {"owner": PLANTED},
    }
    mounted(mount, checks=[(Fine, options)], details=details)
    for query, more in (
        ("", []),
        ("?check=Fine", [f"{PLANTED} failure", "tests.support.checks.Fine", "curl --fail"]),
    ):
        body = ask(f"/health/{query}").content.decode()
        told = [f"{PLANTED} {word}" for word in ("there", "before", "use")] + [f"{PLANTED}-host", "<svg", "% up", *more]
        assert [text in body for text in told] == [details == "always"] * len(told)
        assert (PLANTED in body) == (details == "always")


class Scripted(HealthCheckView):
    """Makes its own JSON, from everything it can get at."""

    def render_to_response_json(self, plugins: Any, status: int = 200) -> HttpResponse:
        said = {label: [str(error) for error in plugin.errors] for label, plugin in plugins.items()}
        errors = [str(error) for error in self.errors]
        return JsonResponse({"plugins": said, "errors": errors, "report": repr(self.report)}, status=status)


@STACKS
def test_subclass__own_json(ask: Ask, mount: Mount) -> None:
    """A subclass gets errors without details, too, and the report has the messages nowhere, not even in its records."""
    mounted(mount, Scripted)
    response = ask("/health/?format=json")
    assert response.status_code == 500
    assert PLANTED.encode() not in response.content
    assert b'"Weak": ["warning' in response.content
    assert b'"errors": ["warning' in response.content


def test_warning__stays_a_warning(mount: Mount) -> None:
    """What counts does not depend on who asks: a warning that does not count does not without its message either."""
    mounted(mount, checks=[Fine, Weak], warnings_as_errors=False)
    response = wsgi("/health/?format=health+json")
    assert response.status_code == 200
    assert b'"status": "warn"' in response.content
    assert PLANTED.encode() not in response.content


@pytest.mark.parametrize(
    ("options", "login_url", "link"),
    [
        ({"details": "authorized"}, "/sign-in/", "/sign-in/?next=%2Fhealth%2F%3Fstate%3Dbad"),
        (
            {"details": "authorized"},
            "https://sso.example.com/?app=1",
            "https://sso.example.com/?app=1&amp;next=%2Fhealth%2F",
        ),
        ({"details": "authorized"}, "/nowhere/", ""),
        ({"details": "never"}, "/sign-in/", ""),
        ({"details": "always"}, "/sign-in/", ""),
    ],
)
def test_page__login_link(mount: Mount, settings: Settings, options: dict[str, Any], login_url: str, link: str) -> None:
    """Where a session would authorise, the page leads to where one logs in, if there is such a page."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.sessions"]
    settings.LOGIN_URL = login_url
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine], **options)),
        path("sign-in/", lambda request: HttpResponse(), name="sign-in"),
    )
    body = wsgi("/health/?state=bad").content.decode()
    assert ("Log in</a>" in body) == bool(link)
    assert f'<a href="{link}' in body


@STACKS
@pytest.mark.parametrize("url", ["/health/", "/health/?format=json"])
@pytest.mark.parametrize(
    "configuration",
    [{"TIMEOUT": SECRET}, {"STORE": {"BACKEND": SECRET}}, {"URLCONF": "tests.support.site.broken_urls"}],
    ids=lambda configuration: str(*configuration),
)
@pytest.mark.parametrize("access", [{}, {"DETAILS": "never"}, {"DETAILS": "authorized", "TOKENS": [TOKEN]}], ids=str)
def test_unusable_settings__not_told_without_details(
    ask: Ask, configuration: dict[str, Any], access: dict[str, Any], url: str, settings: Settings, mount: Mount
) -> None:
    """Those who may not read messages learn only that something is wrong, and where others find out what.

    Of an exception that a URLconf raises all others read only the class: its text was not meant for readers.
    """
    settings.HEALTH_CHECK = {**configuration, "ACCESS": access}
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    answer = ask(url)
    text = answer.content.decode()
    assert answer.status_code == 500
    assert PRIVATE not in text
    assert (f"HEALTH_CHECK['{next(iter(configuration))}']" in text) == (not access)
    assert ("ZeroDivisionError" in text) == (not access and "URLCONF" in configuration)
    if access:
        assert SECRET not in text
        assert "manage.py check" in text
