"""The middleware and the ways in which sites spell their URLs."""

from __future__ import annotations

import logging
from typing import Any

import django
import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core import mail
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils import translation
from django.utils.translation import gettext_lazy
from pytest_django import Settings

from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import eventually
from tests.support.checks import Blown, Broken, Fine
from tests.support.site.stacks import STACKS, Ask

pytestmark = STACKS

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"
RAISING = "tests.support.site.middleware.raising"

VIEW = HealthCheckView.as_view(checks=[Fine])


@pytest.fixture(autouse=True)
def _raising_site(settings: Settings) -> None:
    settings.MIDDLEWARE = [MIDDLEWARE, RAISING]


def assert_early(ask: Ask, url: str) -> None:
    """Make sure that a URL is answered though everything else of the site raises."""
    response = ask(f"{url}?format=json")
    assert response.status_code == 200, url
    assert url.endswith("/live/") or response.content == b'{"Fine": "OK"}'


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        (path("", VIEW), "/"),
        (path("health", VIEW), "/health"),
        (path("health.json", VIEW), "/health.json"),
        (path("a b/", VIEW), "/a%20b/"),
        (path("<slug:tenant>/health/", VIEW), "/shop/health/"),
        (path("health/<int:number>", VIEW), "/health/7"),
        (path("health/<path:rest>", VIEW), "/health/a/b/c"),
        (re_path(r"^health/$", VIEW), "/health/"),
        (re_path(r"^(?P<tenant>\w+)/health/?$", VIEW), "/shop/health"),
        (re_path(r"^health\.json$", VIEW), "/health.json"),
        (re_path("^health", VIEW), "/healthy"),
        (re_path("health", VIEW), "/health/now"),
        (path("a/", include([path("b/", include([path("health/", VIEW)]))])), "/a/b/health/"),
        (path("a/", include([re_path(r"^health/$", VIEW)])), "/a/health/"),
        (re_path(r"^a/", include([path("health/", VIEW)])), "/a/health/"),
        (path("<int:number>/", include([path("", VIEW)])), "/7/"),
        (path("a/", include(([path("health/", VIEW, name="b")], "shop"), namespace="s")), "/a/health/"),
        (path("status/", include("health_check.urls")), "/status/live/"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_route__early(ask: Ask, pattern: Any, url: str, mount: Mount) -> None:
    """However the URL of an endpoint is spelt, it is known."""
    mount(pattern)
    assert_early(ask, url)


def test_route__of_two_the_first(ask: Ask, mount: Mount) -> None:
    """A page of the site's that comes first in the URLconf is not taken over."""

    def own(request: HttpRequest) -> HttpResponse:
        return HttpResponse("own")

    mount(path("<slug:page>/", own), path("health/", VIEW))
    assert ask("/health/").status_code == 500  # as its middleware says


@pytest.mark.parametrize("script_name", ["/app", "/a/b"])
def test_script_name__forced(ask: Ask, script_name: str, settings: Settings, mount: Mount) -> None:
    """Below a script name the paths are what the URLconf says."""
    settings.FORCE_SCRIPT_NAME = script_name
    mount(path("health/", VIEW))
    asked = "/health/" if ask.__name__ == "wsgi" else f"{script_name.rstrip('/')}/health/"
    assert_early(ask, asked)


LANGUAGES = [("en", "English"), ("de", "German"), ("pt-br", "Brazilian Portuguese")]


@pytest.fixture
def _languages(settings: Settings) -> None:
    settings.LANGUAGES, settings.LANGUAGE_CODE = LANGUAGES, "en"


@pytest.mark.usefixtures("_languages")
@pytest.mark.parametrize("before", ["en", "de"])
@pytest.mark.parametrize(
    ("prefixed", "route", "url"),
    [
        (True, "health/", "/en/health/"),
        (True, "health/", "/de/health/"),
        (True, "health/", "/pt-br/health/"),
        (False, "health/", "/health/"),
        (False, "health/", "/de/health/"),
        (True, "", "/en/"),
        (True, "", "/de/"),
        (True, gettext_lazy("Yes"), "/en/Yes"),
        (True, gettext_lazy("Yes"), "/de/Ja"),
    ],
)
def test_i18n__each_language(ask: Ask, before: str, prefixed: bool, route: Any, url: str, mount: Mount) -> None:
    """Below the prefix of each language the endpoint is known, whichever language is active when it is looked for."""
    mount(*i18n_patterns(path(route, VIEW), prefix_default_language=prefixed))
    with translation.override(before):
        assert_early(ask, url)
        assert translation.get_language() == before


@pytest.mark.usefixtures("_languages")
@pytest.mark.parametrize("url", ["/health/", "/xx/health/"])
def test_i18n__no_such_language(ask: Ask, url: str, mount: Mount) -> None:
    """What no language has is left to the site."""
    mount(*i18n_patterns(path("health/", VIEW)))
    assert ask(url).status_code == 500


def test_i18n__switched_off(ask: Ask, settings: Settings, mount: Mount) -> None:
    """Without translations no language is looked for."""
    settings.USE_I18N = False
    mount(path("de/health/", VIEW))
    assert_early(ask, "/de/health/")


@pytest.mark.parametrize(("url", "location"), [("/health", "/health/"), ("/a/health?x=1", "/a/health/?x=1")])
def test_slash__left_to_the_site(ask: Ask, url: str, location: str, settings: Settings, mount: Mount) -> None:
    """A URL without its slash is redirected by the site, as ever."""
    settings.MIDDLEWARE = [MIDDLEWARE, "django.middleware.common.CommonMiddleware"]
    mount(path("health/", VIEW), path("a/health/", VIEW))
    response = ask(url)
    assert (response.status_code, response.headers["Location"]) == (301, location)


class Page:
    """A view of the site's that has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("own")


def test_others__views_without_hash(ask: Ask, settings: Settings, mount: Mount) -> None:
    """A view of the site's may be any callable, also one that cannot be kept in a set."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    mount(re_path(r"^health/$", VIEW), path("page/", Page()))
    assert ask("/page/").content == b"own"


def _admins() -> list[Any]:
    return ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]


@pytest.mark.parametrize("middleware", [MIDDLEWARE, "django.middleware.common.CommonMiddleware"])
@pytest.mark.parametrize("options", [{}, {"error_status_code": 503}, {"tokens": "unusable"}])
def test_failing__mails_nobody(
    ask: Ask,
    middleware: str,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount: Mount,
) -> None:
    """Probes that fail say nothing to ``django.request``, and ADMINS get no mail; our logger speaks once."""
    caplog.set_level(logging.DEBUG)
    settings.ADMINS = _admins()
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    settings.MIDDLEWARE = [middleware]
    mount(path("health/", HealthCheckView.as_view(checks=[Broken, Blown], **options), name="health"))
    for _ in range(3):
        for name in ("html", "json"):
            assert ask(f"/health/?format={name}").status_code in (500, 503)
    assert [record for record in caplog.records if record.name.startswith("django.request")] == []
    assert mail.outbox == []

    def changes() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.levelno >= logging.ERROR]

    expected = 1 if options.get("tokens") else 2
    eventually(lambda: len(changes()) >= expected)  # who waits for an outcome does not wait for its log
    assert len(changes()) == expected


def test_failing__mail_would_come(ask: Ask, settings: Settings, mount: Mount) -> None:
    """Any other page that fails is mailed in these tests, so that the test above can fail."""

    def failing(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=500)

    settings.ADMINS = _admins()
    settings.MIDDLEWARE = [MIDDLEWARE]
    mount(path("health/", VIEW), path("failing/", failing))
    assert ask("/failing/").status_code == 500
    assert len(mail.outbox) == 1
