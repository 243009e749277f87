"""Endpoints that not everybody may see, asked by WSGI and ASGI."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check.views.access import ACCESS_ARGUMENTS
from tests.conftest import Mount
from tests.support.repetitions import long
from tests.support.site.middleware import PLANTED
from tests.support.site.stacks import STACKS, Ask

TOKEN = "a-planted-token"
MESSAGE = "a planted message"
URL = "/health/?format=json"

RUN = [long({}), {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}]
"""Settings; those of tests have no answers that are kept, and so nothing that could be shown to others."""
RUNNING = pytest.mark.parametrize("configuration", RUN, ids=["here", "threads"])

BEARER = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
WHO: dict[str, dict[str, Any]] = {
    "nobody": {},
    "wrong token": {"headers": {"Authorization": "Bearer wrong"}},
    "customer": {"session": "customer"},
    "inactive": {"session": "inactive"},
    "stranger": {"peer": "192.0.2.1"},
    "token": BEARER,
    "network": {"peer": "10.0.0.7"},
    "staff": {"session": "staff"},
}
"""How somebody asks."""
AUTHORISED = ("token", "network", "staff")
OTHER_ACCESS = {"DETAILS": "never", "OPEN": False, "TOKENS": ["other"], "NETWORKS": ["203.0.113.0/24"]}


class Counting(HealthCheck):
    """Counts its runs, and has something to tell."""

    runs = 0

    def check_status(self) -> None:
        type(self).runs += 1
        raise ServiceUnavailable(MESSAGE)


@pytest.fixture(autouse=True)
def _site(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Counting, "runs", 0)
    settings.MIDDLEWARE = ["tests.support.site.middleware.users"]
    yield
    runtime.flush(10)  # what this test found is not to be in the log of the next


def mounted(mount: Mount, view_class: type[HealthCheckView] = HealthCheckView, **options: Any) -> None:
    """Mount an endpoint."""
    mount(path("health/", view_class.as_view(checks=[Counting], **options), name="health"))


def assert_refused(response: HttpResponse, status: int) -> None:
    """Make sure that an answer refuses, and that nothing was run for it."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "no-store" in response.headers["Cache-Control"]
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert Counting.__name__ not in response.content.decode()
    assert Counting.runs == 0


@STACKS
@RUNNING
@pytest.mark.parametrize("stated", ["setting", "argument"])
@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("details", ["always", "authorized", "never"])
def test_access__table(
    ask: Ask,
    configuration: dict[str, Any],
    stated: str,
    is_open: bool,
    details: str,
    settings: Settings,
    mount: Mount,
) -> None:
    """Who asks gets the status, the messages or a refusal; as the settings say, or a view against the settings."""
    policy: dict[str, Any] = {"DETAILS": details, "OPEN": is_open, "TOKENS": [TOKEN], "NETWORKS": ["10.0.0.0/8"]}
    if stated == "setting":
        settings.HEALTH_CHECK = {"ACCESS": policy, **configuration}
        mounted(mount)
    else:
        settings.HEALTH_CHECK = {"ACCESS": OTHER_ACCESS, **configuration}
        mounted(mount, **{name.lower(): value for name, value in policy.items()})
    for who, how in WHO.items():
        response = ask(URL, **how)
        if not is_open and who not in AUTHORISED:
            assert_refused(response, 401)
            continue
        shown = details == "always" or (details == "authorized" and who in AUTHORISED)
        assert response.status_code == 500, who
        assert (MESSAGE in response.content.decode()) == shown, who
        assert "Counting" in response.content.decode()


@STACKS
@RUNNING
@pytest.mark.parametrize(
    ("how", "options", "status"),
    [
        *(({}, {"url": f"/health/?format={name}"}, 401) for name in ("html", "health+json", "text", "rss", "atom")),
        *(({}, {"method": method}, 401) for method in ("HEAD", "OPTIONS", "POST", "TRACE", "NONSENSE")),
        *(
            (WHO[who], {"method": method}, status)
            for who in AUTHORISED
            for method, status in (("HEAD", 500), ("OPTIONS", 500), ("POST", 405))
        ),
        (WHO["staff"], {"url": "/health/", "headers": {"Accept": "image/png"}}, 406),
    ],
)
def test_closed__every_format_and_method(
    ask: Ask,
    configuration: dict[str, Any],
    how: dict[str, Any],
    options: dict[str, Any],
    status: int,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount: Mount,
) -> None:
    """No format and no method gets around a closed door; who is let in gets what there is, in either stack."""
    settings.HEALTH_CHECK = configuration
    mounted(mount, open=False, tokens=[TOKEN], networks=["10.0.0.0/8"])
    response = ask(**{"path": options.get("url", URL), **how, **{k: v for k, v in options.items() if k != "url"}})
    assert response.status_code == status
    if status == 401:
        assert Counting.runs == 0
        assert Counting.__name__ not in response.content.decode()
    if how and options.get("method", "HEAD") != "HEAD":
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert [record for record in caplog.records if "configur" in record.getMessage()] == []


@STACKS
@pytest.mark.parametrize(("session", "logged"), [(None, 0), ("a" * 32, 1)])
def test_staff__broken_database(
    ask: Ask,
    session: str | None,
    logged: int,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount: Mount,
) -> None:
    """Where sessions cannot be read, here because any query raises, who has one gets what others get."""
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *apps]
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    mounted(mount, details="authorized")
    response = ask(URL, session=session)
    assert (response.status_code, MESSAGE in response.content.decode()) == (500, False)
    assert b"Counting" in response.content
    assert len([record for record in caplog.records if "may see" in record.getMessage()]) == logged
    assert response.cookies.keys() == set()
    if session is None:
        assert "Cookie" not in response.headers["Vary"]


class Own(HealthCheckView):
    """Lets in who says the word."""

    def is_authorized(self, request: HttpRequest) -> bool:
        return request.headers.get("X-Word") == "please"


class Failing(HealthCheckView):
    """Does not know whom to let in."""

    def is_authorized(self, request: HttpRequest) -> bool:
        raise ZeroDivisionError(PLANTED)


@STACKS
@RUNNING
@pytest.mark.parametrize(
    ("view_class", "how", "is_in", "logged"),
    [
        (HealthCheckView, {}, False, 0),
        (HealthCheckView, {"session": "no such session"}, False, 1),
        (Own, {"session": "staff", "headers": {"X-Word": "please"}}, True, 0),
        (Own, {"session": "staff", "headers": {"X-Word": "now"}}, False, 0),
        (Failing, {"headers": {"X-Word": "please"}}, False, 1),
    ],
)
def test_is_authorized__who_is_looked_up(
    ask: Ask,
    configuration: dict[str, Any],
    view_class: type[HealthCheckView],
    how: dict[str, Any],
    is_in: bool,
    logged: int,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount: Mount,
) -> None:
    """Staff is looked up with a session only, or the site says whom it lets in; what fails lets nobody in.

    It is logged once, and masked.
    """
    settings.HEALTH_CHECK = configuration
    mounted(mount, view_class, open=False)
    for _ in range(3):
        response = ask(URL, **how)
        if is_in:
            assert MESSAGE in response.content.decode()
        else:
            assert_refused(response, 403)
    said = [found.getMessage() for found in caplog.records if "may see" in found.getMessage()]
    assert len(said) == logged
    assert PLANTED not in "".join(said)
    assert "planted-password" not in caplog.text


@STACKS
@RUNNING
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DETAILS", "sometimes"),
        ("OPEN", "no"),
        ("TOKENS", TOKEN),
        ("NETWORKS", ["localhost"]),
        ("PROXIES", 8),
        ("DETAIL", 1),
    ],
)
@pytest.mark.parametrize("stated", ["setting", "argument"])
def test_unusable__nobody_is_let_in(
    ask: Ask,
    configuration: dict[str, Any],
    key: str,
    value: Any,
    stated: str,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount: Mount,
) -> None:
    """A rule that cannot be used is said in plain words with status 500, to everybody, and no check runs."""
    if stated == "argument" and key.lower() not in ACCESS_ARGUMENTS:
        pytest.skip("as_view refuses it itself")
    access = {
        "ACCESS": {"TOKENS": [TOKEN], "NETWORKS": ["10.0.0.0/8"], **({key: value} if stated == "setting" else {})}
    }
    settings.HEALTH_CHECK = {**configuration, **access}
    mounted(mount, **({key.lower(): value} if stated == "argument" else {}))
    for how in WHO.values():
        response = ask("/health/", **how)
        assert response.status_code == 500
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert key in response.content.decode()
        assert TOKEN not in response.content.decode()
    assert Counting.runs == 0
    told = [record for record in caplog.records if record.levelno >= logging.ERROR and "is error" not in record.message]
    assert [record.name for record in told] == ["health_check"]  # a thread of another test may be late with its line
