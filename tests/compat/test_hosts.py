"""Sites whose hosts have URLconfs of their own, as with django-hosts and django-tenants."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from health_check.management.system_checks.installation import check_middleware
from health_check.middleware import HealthCheckMiddleware
from health_check.views import HealthCheckView
from health_check.views.urlconfs import choosers_after
from tests.compat.shapes import Down, Up
from tests.conftest import Mount
from tests.support.messages import ids
from tests.support.site.stacks import STACKS, Ask

OURS = "health_check.middleware.HealthCheckMiddleware"
BLOG = "tests.compat.blog_urls"


class Hosts:
    """Chooses the URLconf by the host, as the middleware of django-hosts and django-tenants do."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        self.process_request(request)
        return self.get_response(request)

    @staticmethod
    def process_request(request: HttpRequest) -> None:
        """Choose."""
        if "blog." in request.META["HTTP_HOST"]:
            request.urlconf = BLOG


def hidden(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Choose in a way that the code does not show."""

    def middleware(request: HttpRequest) -> Any:
        vars(request).update(urlconf=BLOG)
        return get_response(request)

    return middleware


def choose(request: HttpRequest) -> None:
    """Choose, for others."""
    Chooser(request).choose()


class Chooser:
    """Chooses by a method, in the way of getters and setters."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    def choose(self) -> None:
        """Choose."""
        setattr(self.request, "urlconf", BLOG)  # noqa: B010


def calls_a_function(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Have a function of a module choose, which has an object do so."""

    def middleware(request: HttpRequest) -> Any:
        helpers.choose(request)
        return get_response(request)

    return middleware


class CallsAnObject:
    """Has an object choose that it made when the site started."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response, self.chooser = get_response, CHOOSER

    def __call__(self, request: HttpRequest) -> Any:
        self.chooser.process_request(request)
        return self.get_response(request)


class Remembers:
    """Has an attribute of the name itself, and a global that must not be evaluated."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response, self.urlconf = get_response, BLOG

    def __call__(self, request: HttpRequest) -> Any:
        request.user = LAZY
        return self.get_response(request)


class Inherits(Hosts):
    """Is one by what it inherits."""


def closure(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Choose in a function."""

    def middleware(request: HttpRequest) -> Any:
        request.urlconf = BLOG
        return get_response(request)

    return middleware


def refusing(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer everything that comes so far by itself; reads what the others set."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"refused, {getattr(request, 'urlconf', 'as always')}", status=418)

    return middleware


CHOOSER = Hosts(lambda request: None)
LAZY: Any = None
helpers = sys.modules[__name__]


@pytest.fixture(autouse=True)
def _site(mount: Mount, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose blog has an endpoint of its own, and a page where the shop has one."""
    blog: Any = types.ModuleType(BLOG)
    blog.urlpatterns = [
        path("health/", lambda request: HttpResponse("a post about health"), name="post"),
        path("up/", HealthCheckView.as_view(checks=[Down]), name="up"),
    ]
    monkeypatch.setitem(sys.modules, BLOG, blog)
    monkeypatch.setattr(helpers, "LAZY", SimpleLazyObject(lambda: pytest.fail("evaluated")))
    settings.ALLOWED_HOSTS = ["*"]
    mount(
        path("health/", HealthCheckView.as_view(checks=[Up]), name="health"),
        path("up/", HealthCheckView.as_view(checks=[Up]), name="up"),
    )


def name(middleware: Any) -> str:
    """Return the dotted path of a middleware here."""
    return f"{__name__}.{middleware.__name__}"


ON_BLOG, ON_SHOP = {"Host": "blog.example"}, {"Host": "shop.example"}


@STACKS
def test_order__after_the_choice(ask: Ask, settings: Settings) -> None:
    """After the middleware that chooses, each host's own endpoints are answered early, and nothing else."""
    settings.MIDDLEWARE = [name(Hosts), OURS, name(refusing)]
    assert check_middleware() == []
    assert ask("/health/?format=json", headers=ON_SHOP).status_code == 200
    assert ask("/health/", headers=ON_BLOG).content == f"refused, {BLOG}".encode()
    assert ask("/up/?format=json", headers=ON_BLOG).status_code == 500
    assert ask("/up/?format=json", headers=ON_SHOP).status_code == 200


@STACKS
def test_order__before_the_choice(ask: Ask, settings: Settings) -> None:
    """Before it nothing is answered early; the system check says so, and what to do."""
    settings.MIDDLEWARE = [OURS, name(Hosts)]
    assert ask("/health/", headers=ON_BLOG).content == b"a post about health"
    assert ask("/up/", headers=ON_BLOG).status_code == 500
    assert ask("/health/?format=json", headers=ON_SHOP).json() == {"Up": "OK"}  # type: ignore[attr-defined]
    settings.MIDDLEWARE = [OURS, name(Hosts), name(refusing)]
    assert ask("/health/", headers=ON_SHOP).status_code == 418
    [message] = check_middleware()
    assert ids([message]) == ["health_check.W040"]
    assert f"HealthCheckMiddleware stands before {name(Hosts)}" in message.msg


def test_order__before_a_choice_that_the_code_does_not_show(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """What the code does not show is learnt from the first request that is not ours, and logged with the remedy."""
    settings.MIDDLEWARE = [OURS, name(hidden)]
    assert check_middleware() == []
    handler = HealthCheckMiddleware(hidden(lambda request: HttpResponse("a post about health")))
    handler(_request("/other/"))
    for _ in range(2):
        assert handler(_request("/health/")).content == b"a post about health"  # type: ignore[union-attr]
    [message] = caplog.messages
    assert message.endswith("Put HealthCheckMiddleware right after that one.")


def _request(place: str) -> HttpRequest:
    return RequestFactory().get(place, headers={"host": "blog.example"})


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([OURS, name(Hosts), name(Inherits)], [name(Hosts), name(Inherits)]),
        ([name(Hosts), OURS], []),
        ([OURS, name(closure), name(hidden), name(refusing), "no.such.Middleware"], [name(closure)]),
        (
            [OURS, name(calls_a_function), name(CallsAnObject), name(Remembers)],
            [name(calls_a_function), name(CallsAnObject)],
        ),
        ([OURS, "django_tenants.middleware.main.TenantMainMiddleware"], None),
        ([OURS, "django.middleware.common.CommonMiddleware", "django.middleware.locale.LocaleMiddleware"], []),
    ],
)
def test_choosers__by_their_code(settings: Settings, paths: list[str], found: list[str] | None) -> None:
    """What chooses is known by its code, in any form; what only reads the choice is not meant."""
    if found is None:
        pytest.importorskip("django_tenants")
        settings.PUBLIC_SCHEMA_NAME = "public"
        found = paths[1:]
    settings.MIDDLEWARE = paths
    assert choosers_after(HealthCheckMiddleware) == found


@pytest.mark.parametrize("urlconf", [[], BLOG, "no.such.urls"])
def test_urlconf__of_any_kind(urlconf: Any) -> None:
    """A URLconf that is a list, or cannot be imported, is left to the site, and raises nothing here."""
    request = _request("/up/")
    request.urlconf = urlconf
    answer = HealthCheckMiddleware(lambda request: HttpResponse("the site's"))(request)
    assert (answer.status_code == 500) == (urlconf == BLOG)  # type: ignore[union-attr]
