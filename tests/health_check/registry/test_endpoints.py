"""Endpoints, found in a URLconf, and the arguments of their views."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import include, path, re_path, resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView
from pytest_django import Settings

from health_check.registry.endpoints import (
    Endpoint,
    EndpointOptions,
    discover,
    walk,
)
from health_check.views import HealthCheckView
from tests.support.checks import Broken, Fine

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


VIEW = HealthCheckView.as_view()
OTHER = OtherView.as_view()


def found(settings: Settings) -> list[tuple[str, str]]:
    """Return name and route of the endpoints of the site's URLconf."""
    return [(endpoint.name, endpoint.route) for endpoint in discover(str(settings.ROOT_URLCONF))]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([path("page/", page), path("template/", TemplateView.as_view(template_name="x"))], []),
        ([path("z/", VIEW, name="z"), path("page/", page), path("a/", OTHER, name="a")], [("z", "z/"), ("a", "a/")]),
        ([path("a/", VIEW, name="a"), path("b/", VIEW, name="b")], [("a", "a/"), ("b", "b/")]),
        ([path("a/", VIEW, name="one"), path("a/", OTHER, name="two")], [("one", "a/")]),
        (
            [path("secret/", VIEW), path("a/", VIEW, name="unnamed-1"), path("", VIEW)],
            [("unnamed-2", "secret/"), ("unnamed-1", "a/"), ("unnamed-3", "")],
        ),
        (
            [path(route, HealthCheckView.as_view(), name="health") for route in ("a/", "b/", "c/")],
            [("health", "a/"), ("health-2", "b/"), ("health-3", "c/")],
        ),
    ],
    ids=["none", "in their order", "one view twice", "one route twice", "unnamed", "one name"],
)
def test_discover__names_and_routes(
    patterns: list[Any], expected: list[tuple[str, str]], mount: Mount, settings: Settings
) -> None:
    """Health views are found, other views are not; those without a name, or with that of another, are numbered.

    A number is never a URL name, the second view at one route, which is never served, is no endpoint, and a route
    without a name shows nowhere.
    """
    mount(*patterns)
    assert found(settings) == expected
    assert "secret" not in repr(discover(str(settings.ROOT_URLCONF)))
    assert [endpoint.name for endpoint in walk(settings.ROOT_URLCONF) if "-" in endpoint.name] in ([], ["unnamed-1"])


@pytest.mark.parametrize(
    "decorate",
    [never_cache, csrf_exempt, only_wrapped, lambda view: only_wrapped(never_cache(only_wrapped(view)))],
)
def test_discover__decorated(decorate: Callable[[View], View], mount: Mount, settings: Settings) -> None:
    """A decorated view is found, with its options."""
    mount(path("health/", decorate(HealthCheckView.as_view(checks=[Fine], error_status_code=503)), name="health"))
    (endpoint,) = discover(str(settings.ROOT_URLCONF))
    assert (endpoint.name, endpoint.option("error_status_code"), endpoint.items()) == ("health", 503, (Fine,))


def test_discover__includes_and_namespaces(mount: Mount, settings: Settings) -> None:
    """Names carry their namespaces, routes what is in front of them, as requests see it."""
    inner = [path("", VIEW, name="home"), re_path(r"^live/$", OTHER, name="live")]
    mount(
        path("a/", include((inner, "app"), namespace="one")),
        path("b/", include([path("c/", include((inner, "app"), namespace="two"))])),
        path("d/<int:pk>/", include(inner)),
        path("e/", include(([path("", include((inner, "in")))], "out"))),
        re_path(r"^f/$", VIEW, name="root"),
        path("", include([re_path(r"^g/$", VIEW, name="below")])),
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
        ("root", "^f/$"),
        ("below", "^g/$"),
    ]
    for url in ("/a/", "/a/live/", "/b/c/", "/b/c/live/", "/d/1/", "/d/1/live/", "/e/live/", "/f/", "/g/"):
        match = resolve(url)
        assert (match.view_name, match.route) in found(settings)


def endpoint_of(view_class: type[EndpointOptions], **options: Any) -> Endpoint:
    """Return an endpoint of this view."""
    return Endpoint(name="x", route="x/", view_class=view_class, initkwargs=options)


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


def marked(**marks: object) -> type[HealthCheckView]:
    """Return a view whose class has these marks."""
    return type("Marked", (HealthCheckView,), marks)


def is_refused(marks: dict[str, object], view: type[HealthCheckView] = HealthCheckView) -> str:
    """Return why a view cannot be mounted with these marks."""
    with pytest.raises(ImproperlyConfigured) as caught:
        view.as_view(**marks)
    return str(caught.value)


@pytest.mark.parametrize("mark", ["readiness", "liveness"])
@pytest.mark.parametrize("value", ["yes", 1, 0, ""])
def test_as_view__mark_of_another_kind(mark: str, value: object) -> None:
    """A mark is True or False, as an argument and on a class."""
    reason = f"{mark} is {value!r}: use True or False"
    assert reason in is_refused({mark: value})
    assert reason in is_refused({}, marked(**{mark: value}))


def test_as_view__both_marks() -> None:
    """One endpoint is not for both, whichever way it is said; an argument goes before the class."""
    ready, both = marked(readiness=True), marked(readiness=True, liveness=True)
    assert "readiness and liveness" in is_refused({"readiness": True, "liveness": True})
    assert "Marked: it is marked" in is_refused({"liveness": True}, ready)
    assert "readiness and liveness" in is_refused({}, both)
    assert callable(ready.as_view(liveness=True, readiness=False))
    assert callable(both.as_view(liveness=False))


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"cheks": []}, "Marked.as_view() has no argument 'cheks'. Did you mean 'checks'?"),
        ({"check": []}, "Marked.as_view() has no argument 'check'. Did you mean 'checks'?"),
        ({"nonsense": 1}, "Marked.as_view() has no argument 'nonsense'. Use checks, details, error_status_code,"),
        ({"error_status_code": 200}, "Marked: error_status_code is 200: use a status from 400 to 599."),
    ],
)
def test_as_view__remedy(arguments: dict[str, object], remedy: str) -> None:
    """An argument that there is none of, or that cannot be used, is told with the remedy."""
    assert remedy in is_refused(arguments, marked())
