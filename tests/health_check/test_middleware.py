"""The middleware that answers probes before the rest of the site can refuse them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import ResolverMatch, URLResolver, path
from pytest_django import Settings

from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine
from tests.support.site.stacks import STACKS, Ask

pytestmark = STACKS

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"
SITE = "tests.support.site.middleware"
URL = "/health/?format=json"

SESSIONS = ["django.contrib.sessions.middleware.SessionMiddleware"]
USERS = [*SESSIONS, "django.contrib.auth.middleware.AuthenticationMiddleware"]
OBSTACLES: dict[str, tuple[list[str], int]] = {
    "host": (["django.middleware.common.CommonMiddleware"], 400),
    "redirect": (["django.middleware.security.SecurityMiddleware"], 400),
    "login": ([*USERS, "django.contrib.auth.middleware.LoginRequiredMiddleware"], 500),
    "sessions": ([*SESSIONS, f"{SITE}.touches_session"], 500),
    "raising": ([f"{SITE}.raising"], 500),
    "async raising": ([f"{SITE}.async_raising"], 500),
    "maintenance": ([f"{SITE}.maintenance"], 503),
    "maintenance, sync inside": ([f"{SITE}.users", f"{SITE}.maintenance"], 503),
    "maintenance, async and sync inside": ([f"{SITE}.async_passing", f"{SITE}.users", f"{SITE}.maintenance"], 503),
}
"""Middleware that refuses other pages, and how it does so where hosts are not allowed and queries raise."""


def plain(request: HttpRequest) -> HttpResponse:
    """Answer as any other view."""
    return HttpResponse("plain")


def decorated(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a view only see requests that the site has looked at."""

    @functools.wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return HttpResponse(f"decorated for {type(request.user).__name__}")

    return inner


@pytest.fixture
def site(settings: Settings, mount: Mount) -> Callable[..., None]:
    """A function that makes a site of the middleware and these others, and of these views of ours."""
    auth = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *auth]

    def make(*others: str, checks: tuple[type, ...] = (Fine, AsyncFine), first: bool = True, **options: Any) -> None:
        settings.MIDDLEWARE = [*([MIDDLEWARE] if first else []), *others]
        mount(
            path("health/", HealthCheckView.as_view(checks=checks, **options), name="health"),
            path("decorated/", decorated(HealthCheckView.as_view(checks=checks))),
            path("metrics", MetricsView.as_view(), name="metrics"),
            path("plain/", plain),
        )

    return make


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_obstacle__none_for_probes(ask: Ask, obstacle: str, settings: Settings, site: Mount) -> None:
    """What refuses every other page, and in the middleware's absence most probes, does not see a probe."""
    others, status = OBSTACLES[obstacle]
    settings.ALLOWED_HOSTS = []
    settings.SECURE_SSL_REDIRECT = True
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    site(*others)
    headers = {"Host": "10.0.0.7:8000"}
    assert ask("/plain/", headers=headers, session="a" * 32).status_code == status
    for session in (None, "a" * 32):
        response = ask(URL, headers=headers, session=session)
        assert response.status_code == 200
        assert response.content == b'{"Fine": "OK", "AsyncFine": "OK"}'
        assert response.headers["Content-Length"] == str(len(response.content))
        assert "no-store" in response.headers["Cache-Control"]
        assert response.cookies.keys() == set()


@pytest.mark.parametrize("name", ["html", "json", "health+json", "text", "rss", "atom"])
def test_host__any(ask: Ask, name: str, settings: Settings, site: Mount) -> None:
    """Whatever a probe takes the host for, it is answered in each format, and not told that host."""
    settings.ALLOWED_HOSTS = []
    site("django.middleware.common.CommonMiddleware")
    for host in ("", "[::1", "a b", "evil.example", "10.0.0.7:8000:1", "x" * 300, "\xff"):
        response = ask(f"/health/?format={name}", headers={"Host": host})
        assert response.status_code == 200
        assert name in ("rss", "atom") or "Fine" in response.content.decode()  # feeds have no news of what is ok
        assert b"evil.example" not in response.content


@pytest.mark.parametrize(("method", "status"), [("HEAD", 500), ("OPTIONS", 500), ("POST", 405), ("PROPFIND", 405)])
def test_method__others(ask: Ask, method: str, status: int, site: Mount) -> None:
    """HEAD and OPTIONS have the status of GET, and the rest is not allowed."""
    site(f"{SITE}.raising", checks=(Broken,))
    response = ask(URL, method=method)
    assert response.status_code == status
    if method == "HEAD":
        assert response.content == b""
        assert response.headers["Content-Length"] == ask(URL).headers["Content-Length"] != "0"
    else:
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("early", [True, False])
def test_metrics__only_if_asked_for(ask: Ask, early: bool, settings: Settings, site: Mount) -> None:
    """The metrics page is answered early only where the site says so."""
    settings.HEALTH_CHECK = {"EARLY_METRICS": early}
    site(f"{SITE}.raising")
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask("/metrics", method=method).status_code == (200 if early else 500)
    assert ask(URL).status_code == 200


class OwnMetrics(MetricsView):
    """A metrics page with something of the site's."""


@pytest.mark.parametrize("view_class", [MetricsView, OwnMetrics])
@pytest.mark.parametrize("route", ["metrics/", "internal/prometheus", "<str:tenant>/metrics"])
def test_metrics__wherever_they_are(
    ask: Ask, route: str, view_class: type[MetricsView], settings: Settings, mount: Mount
) -> None:
    """The metrics page is found where the site has it, and a view derived from ours counts as ours."""
    settings.HEALTH_CHECK = {"EARLY_METRICS": True}
    settings.MIDDLEWARE = [MIDDLEWARE, f"{SITE}.raising"]
    mount(path("health/", HealthCheckView.as_view(checks=[])), path(route, view_class.as_view()))
    assert ask("/" + route.replace("<str:tenant>", "a")).status_code == 200


def test_metrics__closed(ask: Ask, settings: Settings, site: Mount) -> None:
    """A closed page is closed early, too, and a token opens it."""
    settings.HEALTH_CHECK = {"EARLY_METRICS": True, "ACCESS": {"OPEN": False, "TOKENS": ["a"]}}
    site(f"{SITE}.raising")
    assert ask("/metrics").status_code == ask(URL).status_code == 401
    for url in ("/metrics", URL):
        assert ask(url, headers={"Authorization": "Bearer a"}).status_code == 200


def test_decorated__left_to_the_site(ask: Ask, site: Mount) -> None:
    """An endpoint in a decorator of the site's, which may need other middleware, is answered after that."""
    site(f"{SITE}.users")
    assert ask("/decorated/", session="staff").content == b"decorated for SimpleLazyObject"


class Own(HealthCheckView):
    """Lets in whom the site says."""

    def is_authorized(self, request: HttpRequest) -> bool:
        return hasattr(request, "user")


@pytest.mark.parametrize(
    ("view_class", "options", "session", "status"),
    [
        (HealthCheckView, {"open": False}, None, 403),
        (HealthCheckView, {"open": False}, "staff", 200),
        (HealthCheckView, {"open": False}, "customer", 403),
        (HealthCheckView, {"details": "never"}, "staff", 200),
        (Own, {"open": False}, None, 200),
        (Own, {}, None, 200),
    ],
)
def test_authority__left_to_the_site(
    ask: Ask,
    view_class: type[HealthCheckView],
    options: dict[str, Any],
    session: str | None,
    status: int,
    settings: Settings,
    mount: Mount,
) -> None:
    """Where it matters who asks, and the site's middleware is needed to know, the request passes through it."""
    settings.MIDDLEWARE = [MIDDLEWARE, f"{SITE}.users", f"{SITE}.names_itself"]
    mount(path("health/", view_class.as_view(checks=[Fine], **options), name="health"))
    response = ask(URL, session=session)
    assert response.status_code == status
    passes = options.get("open") is False and (session is not None or view_class is Own)
    assert ("X-Site" in response.headers) == passes


@pytest.mark.parametrize("url", ["/plain/", "/nowhere/", "/health", "/healthy/", "/static/x.css", "/"])
def test_others__unharmed_and_not_resolved_twice(
    ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch, site: Mount
) -> None:
    """Other pages, and those that are none, are what they were, and resolved as often as without the middleware."""
    resolved: list[str] = []
    original = URLResolver.resolve

    def resolve(self: URLResolver, path: str) -> ResolverMatch:
        resolved.append(path)
        return original(self, path)

    monkeypatch.setattr(URLResolver, "resolve", resolve)
    answers = []
    for first in (False, True):
        resolved.clear()
        site("django.middleware.common.CommonMiddleware", first=first)
        response = ask(url)
        answers.append((response.status_code, response.content, response.get("Location"), list(resolved)))
    assert answers[0] == answers[1]
    assert answers[0][0] == {"/plain/": 200, "/health": 301}.get(url, 404)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"ACCESS": {"OPEN": "no"}}, "ACCESS OPEN"),
        ({"EARLY_METRICS": "yes"}, ""),
        ({"URLCONF": 7}, "URLCONF"),
        (["ACCESS"], "dict of settings"),
        ({"MAX_AGE": -1}, "MAX_AGE"),
    ],
)
def test_unusable_settings__harm_no_other_page(
    ask: Ask, value: Any, said: str, settings: Settings, site: Mount
) -> None:
    """Settings that cannot be used are told by the pages of ours alone, early, and let nobody in."""
    site(f"{SITE}.users")
    settings.HEALTH_CHECK = value
    assert ask("/plain/").content == b"plain"
    response = ask(URL)
    assert response.status_code == (500 if said else 200)
    assert said in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert ask("/nowhere/").status_code == 404


@pytest.mark.parametrize("urlconf", ["tests.no_such_urls", "tests.support.site.broken_urls", "tests.support.checks"])
def test_broken_urlconf__is_the_site_s_own_trouble(ask: Ask, urlconf: str, settings: Settings) -> None:
    """A URLconf that cannot be used gives the answer, or the exception, that it gives without the middleware."""
    settings.ROOT_URLCONF = urlconf
    outcomes = []
    for middleware in ([], [MIDDLEWARE]):
        settings.MIDDLEWARE = middleware
        try:
            outcomes.append(f"{ask('/health/').status_code}")
        except Exception as error:  # Django cannot find the page for errors either
            outcomes.append(repr(error))
    assert outcomes[0] == outcomes[1] != "200"
