"""Endpoints, found in a URLconf."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import include, path, re_path, resolve
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView
from pytest_django import Settings

from health_check.registry.endpoints import (
    DEFAULT_CHECKS,
    Endpoint,
    EndpointOptions,
    discover,
    endpoint_at,
    unwrap,
    walk,
)
from health_check.views import HealthCheckView
from tests.support.checks import Broken, ExitingAtConstruction, Fine, Unbuildable

Mount = Callable[..., None]
View = Callable[..., HttpResponseBase]


class OtherView(HealthCheckView):
    """A subclass that only names its checks."""

    checks = (Fine,)


def page(request: HttpRequest) -> HttpResponse:
    """Answer something that is not about health."""
    return HttpResponse()


def only_wrapped(view: View) -> View:
    """Decorate a view with nothing of it kept but ``__wrapped__``."""

    @functools.wraps(view, assigned=(), updated=())
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs)

    return wrapper


def found(settings: Settings) -> list[tuple[str, str]]:
    """Return name and route of the endpoints of the site's URLconf."""
    return [(endpoint.name, endpoint.route) for endpoint in discover(str(settings.ROOT_URLCONF))]


def test_discover__in_the_order_of_the_urlconf(mount: Mount, settings: Settings) -> None:
    """Health views and their subclasses are found, other views are not."""
    mount(
        path("z/", HealthCheckView.as_view(), name="z"),
        path("page/", page, name="page"),
        path("template/", TemplateView.as_view(template_name="x"), name="template"),
        path("a/", OtherView.as_view(), name="a"),
    )
    assert found(settings) == [("z", "z/"), ("a", "a/")]


def test_discover__none(mount: Mount, settings: Settings) -> None:
    """A site without health views has no endpoints."""
    mount(path("page/", page))
    assert found(settings) == []


@pytest.mark.parametrize(
    "decorate",
    [never_cache, csrf_exempt, only_wrapped, lambda view: only_wrapped(never_cache(only_wrapped(view)))],
)
def test_discover__decorated(decorate: Callable[[View], View], mount: Mount, settings: Settings) -> None:
    """A decorated view is found, with its options."""
    mount(path("health/", decorate(HealthCheckView.as_view(checks=[Fine], error_status_code=503)), name="health"))
    (endpoint,) = discover(str(settings.ROOT_URLCONF))
    assert (endpoint.name, endpoint.option("error_status_code"), endpoint.items()) == ("health", 503, (Fine,))


def test_unwrap__no_health_view() -> None:
    """A callback without a view class is given back as it is, and is no endpoint."""
    assert unwrap(page) is page
    assert endpoint_at(page, name="page", route="page/") is None


def test_discover__includes_and_namespaces(mount: Mount, settings: Settings) -> None:
    """Names carry their namespaces, routes what is in front of them, as requests see it."""
    inner = [path("", HealthCheckView.as_view(), name="home"), re_path(r"^live/$", OtherView.as_view(), name="live")]
    mount(
        path("a/", include((inner, "app"), namespace="one")),
        path("b/", include([path("c/", include((inner, "app"), namespace="two"))])),
        path("d/<int:pk>/", include(inner)),
        path("e/", include(([path("", include((inner, "in")))], "out"))),
    )
    assert found(settings) == [
        ("one:home", "a/"),
        ("one:live", "a/live/$"),
        ("two:home", "b/c/"),
        ("two:live", "b/c/live/$"),
        ("home", "d/<int:pk>/"),
        ("live", "d/<int:pk>/live/$"),
        ("out:in:home", "e/"),
        ("out:in:live", "e/live/$"),
    ]
    for url in ("/a/", "/a/live/", "/b/c/", "/b/c/live/", "/d/1/", "/d/1/live/", "/e/live/"):
        match = resolve(url)
        assert (match.view_name, match.route) in found(settings)


def test_discover__regular_expressions(mount: Mount, settings: Settings) -> None:
    """Regular expressions, at the root too, give the routes that requests have."""
    mount(
        re_path(r"^health/$", HealthCheckView.as_view(), name="health"),
        path("", include([re_path(r"^live/$", OtherView.as_view(), name="live")])),
    )
    assert found(settings) == [(resolve(url).view_name, resolve(url).route) for url in ("/health/", "/live/")]


def test_discover__our_own_urls(mount: Mount, settings: Settings) -> None:
    """``health_check.urls`` mounts the default endpoint and the live one, each found once."""
    mount(path("health/", include("health_check.urls")))
    assert found(settings) == [
        ("health_check:health_check_home", "health/"),
        ("health_check:health_check_live", "health/live/"),
    ]
    home, live = discover(str(settings.ROOT_URLCONF))
    assert (home.items(), live.items()) == (DEFAULT_CHECKS, ())


def test_discover__unnamed(mount: Mount, settings: Settings) -> None:
    """Endpoints without a URL name are called by numbers that no URL name is like, never by their routes."""
    view = HealthCheckView.as_view()
    mount(path("secret/", view), path("a/", view, name="unnamed-1"), path("", view))
    assert found(settings) == [("unnamed-2", "secret/"), ("unnamed-1", "a/"), ("unnamed-3", "")]
    assert "secret" not in repr(discover(str(settings.ROOT_URLCONF)))


def test_discover__two_mounts_of_one_view(mount: Mount, settings: Settings) -> None:
    """One view at two paths is two endpoints."""
    view = HealthCheckView.as_view()
    mount(path("a/", view, name="a"), path("b/", view, name="b"))
    assert found(settings) == [("a", "a/"), ("b", "b/")]


def test_discover__duplicate_names_are_told_apart(mount: Mount, settings: Settings) -> None:
    """Of endpoints with one name the later ones are numbered; as written they have one name."""
    mount(*(path(route, HealthCheckView.as_view(), name="health") for route in ("a/", "b/", "c/")))
    assert found(settings) == [("health", "a/"), ("health-2", "b/"), ("health-3", "c/")]
    assert [endpoint.name for endpoint in walk(str(settings.ROOT_URLCONF))] == ["health"] * 3


def test_discover__same_route_twice(mount: Mount, settings: Settings) -> None:
    """The second of two views at one route, which is never served, is no endpoint."""
    mount(path("a/", HealthCheckView.as_view(), name="one"), path("a/", OtherView.as_view(), name="two"))
    assert found(settings) == [("one", "a/")]


def test_discover__i18n_patterns(settings: Settings) -> None:
    """A language in the path is a part of the route, as of the request's."""
    settings.ROOT_URLCONF = "tests.support.urls_i18n"
    with override("de"):
        (endpoint,) = discover(str(settings.ROOT_URLCONF))
        match = resolve("/de/health/")
    assert (endpoint.name, endpoint.route) == ("health", "de/health/")
    assert (match.view_name, match.route) == (endpoint.name, endpoint.route)


def endpoint_of(view_class: type[EndpointOptions], **options: Any) -> Endpoint:
    """Return an endpoint of this view."""
    return Endpoint(name="x", route="x/", view_class=view_class, initkwargs=options)


def test_option__as_view_before_class() -> None:
    """An argument of ``as_view`` comes before the attribute of the class, and that before the default."""

    class Strict(HealthCheckView):
        error_status_code = 503

    assert endpoint_of(Strict, error_status_code=429).option("error_status_code") == 429
    assert endpoint_of(Strict).option("error_status_code") == 503
    assert endpoint_of(HealthCheckView).option("error_status_code") == 500


@pytest.mark.parametrize(
    ("checks", "items"),
    [
        ([], ()),
        ((Fine, "tests.support.checks.Broken"), (Fine, "tests.support.checks.Broken")),
        ("tests.support.checks.Fine", ("tests.support.checks.Fine",)),
        (None, (None,)),
        ({"a": Fine}, ({"a": Fine},)),
    ],
)
def test_items__of_checks(checks: object, items: tuple[object, ...]) -> None:
    """The items are those of ``checks``; what is no list of entries is one item, to be shown as unusable."""
    assert endpoint_of(HealthCheckView, checks=checks).items() == items


def test_items__of_own_plugins() -> None:
    """A view that chooses its checks in code is asked, without a request."""
    fine, broken = Fine(), Broken()

    class Choosing(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            yield "fine", fine
            yield broken

    endpoint = endpoint_of(Choosing)
    assert endpoint.has_own_plugins
    assert endpoint.items() == (("fine", fine), broken)
    assert not endpoint_of(OtherView).has_own_plugins


def test_get_plugins__pairs() -> None:
    """The usual ``get_plugins`` gives label and instance of each entry, also of one that cannot be used."""
    view = HealthCheckView(checks=[(Fine, {"name": "x"}), "no.such.Check", Unbuildable, ExitingAtConstruction])
    pairs = dict(view.get_plugins())
    assert list(pairs) == [
        "x",
        "no.such.Check",
        "Unbuildable",
        "ExitingAtConstruction",
    ]
    assert isinstance(pairs["x"], Fine)
    pairs["no.such.Check"].run_check()
    assert "'no.such.Check' cannot be imported" in pairs["no.such.Check"].pretty_status()


def test_default_checks__all_there() -> None:
    """The default checks can be used, in the order of the documentation."""
    assert [label for label, _ in HealthCheckView().get_plugins()] == [
        "Cache",
        "Database",
        "Disk",
        "Mail",
        "Memory",
        "Storage",
    ]
