"""Subclasses of the health view, written as for django-health-check 3.2x."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check.views.plugins import Plugins
from health_check.views.registered import RegisteredView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Fine, Shaky

GONE = "unavailable: Something went wrong!"


class Rendering(HealthCheckView):
    """Overrides the renderers."""

    checks = (Fine, Broken)

    def render_to_response(self, plugins: Any, status: int) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(f"{status} " + ",".join(f"{plugin!r}={plugin.status}" for plugin in plugins), status=218)

    def render_to_response_json(self, plugins: Any, status: int) -> HttpResponse:  # type: ignore[override]
        by_label = {str(label): plugin.pretty_status() for label, plugin in plugins.items()}
        assert list(by_label.values()) == [plugin.pretty_status() for plugin in plugins]
        return JsonResponse({"status": status, **by_label}, status=218)


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("text/html", b"500 Fine=1,Broken=0"),
        ("application/json", f'{{"status": 500, "Fine": "OK", "Broken": "{GONE}"}}'.encode()),
    ],
)
def test_subclass__renderers(mount: Mount, client: Client, accept: str, body: bytes) -> None:
    """The renderers get instances, iterated or by label, and the status, and answer what they like."""
    mount(path("health/", Rendering.as_view(), name="health"))
    response = client.get("/health/", headers={"Accept": accept})
    assert (response.status_code, response.content) == (218, body)
    assert "no-store" in response.headers["Cache-Control"]


class OwnGet(HealthCheckView):
    """Decides itself, by ``errors`` and ``plugins``, and has the base class render."""

    checks = (Fine, Shaky, (Broken, {"critical_service": False}))
    as_values = False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        status = 503 if self.errors else 200
        plugins: Any = self.plugins.values() if self.as_values else self.plugins
        if request.GET.get("format") == "json":
            return self.render_to_response_json(plugins, status)
        return self.render_to_response(plugins, status)


@pytest.mark.parametrize("as_values", [True, False], ids=["instances", "dict"])
def test_subclass__own_get_with_our_renderers(mount: Mount, client: Client, as_values: bool) -> None:
    """Our JSON and our page take instances as well as a dict of them by label, and the status of the caller."""
    mount(path("health/", OwnGet.as_view(as_values=as_values), name="health"))
    response, page = client.get("/health/?format=json"), client.get("/health/")
    assert response.status_code == page.status_code == 503
    assert response.json() == {"Fine": "OK", "Shaky": "warning: Not for long!", "Broken": GONE}
    assert "<html" in page.content.decode()
    assert GONE in page.content.decode()


class Errors(HealthCheckView):
    """Says what counts."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"errors": [str(error) for error in self.errors]})


@pytest.mark.parametrize(
    ("checks", "warnings_as_errors", "expected"),
    [
        ([Fine], None, []),
        ([Fine, Broken], None, [GONE]),
        ([Shaky], None, ["warning: Not for long!"]),
        ([Shaky], False, []),
        ([(Broken, {"critical_service": False})], None, []),
    ],
)
def test_errors__those_that_count(
    mount: Mount, client: Client, checks: list[object], warnings_as_errors: bool | None, expected: list[str]
) -> None:
    """The view's errors are those that make the endpoint fail."""
    mount(path("health/", Errors.as_view(checks=checks, warnings_as_errors=warnings_as_errors), name="health"))
    assert client.get("/health/").json() == {"errors": expected}


class OwnContext(HealthCheckView):
    """Adds to the context, and looks at what is there."""

    checks = (Fine, Broken)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        assert isinstance(context["plugins"], Plugins)
        assert bool(context["errors"]) is True
        context["report"] = context.get("report")
        return {**context, "extra": "extra"}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(**kwargs), status=418)


def test_subclass__context_in_place_of_plugins(mount: Mount, client: Client) -> None:
    """A context, which 3.x handed to the renderer, is rendered as it is."""
    mount(path("health/", OwnContext.as_view(), name="health"))
    response = client.get("/health/")
    assert response.status_code == 418
    assert GONE in response.content.decode()


def get_plugins_pairs(self: HealthCheckView) -> Iterable[Any]:
    """Yield what the base class does, in pairs of label and instance as in 3.2x, and one more."""
    yield from HealthCheckView.get_plugins(self)
    yield repr(Alias("replica")), Alias("replica")


def get_plugins_instances(self: HealthCheckView) -> Iterable[Any]:
    """Return bare instances."""
    return [Fine(), Alias("replica")]


@pytest.mark.parametrize("get_plugins", [get_plugins_pairs, get_plugins_instances])
def test_get_plugins__overridden(mount: Mount, client: Client, get_plugins: Any) -> None:
    """A view may choose its checks in code; they are the endpoint's everywhere."""
    view_class: type[HealthCheckView] = type("Own", (HealthCheckView,), {"get_plugins": get_plugins, "checks": [Fine]})
    mount(path("health/", view_class.as_view(), name="health"))
    for _ in range(2):
        assert client.get("/health/?format=json").json() == {"Fine": "OK", "Alias(alias='replica')": "OK"}
    assert set(runtime.get().catalogue.check_set.definitions) == {"Fine", "Alias(alias='replica')"}


def test_get_plugins__by_request(mount: Mount, client: Client) -> None:
    """A choice that depends on the request is made for each request."""

    class ByRequest(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            return [Alias(self.request.GET["alias"])]

    mount(path("health/", ByRequest.as_view(), name="health"))
    for alias in ("one", "two", "one"):
        found = client.get("/health/", {"format": "json", "alias": alias}).json()
        assert found == {f"Alias(alias='{alias}')": "OK"}


class OwnPlugins(HealthCheckView):
    """Chooses its checks in code, in pairs."""

    def get_plugins(self) -> Iterable[Any]:
        yield "mine", Fine()


TEMPLATE = "{% if errors %}down{% endif %} {{ report.draining }} {{ report.status_code }} {{ plugins|length }}"
NOTICE = "unavailable: this host is drained"


@pytest.mark.parametrize(
    ("view_class", "options", "kind", "status", "body"),
    [
        (OwnGet, {}, "json", 503, {"draining": NOTICE, "Fine": "OK"}),
        (OwnGet, {}, "html", 503, "Drained: this host"),
        (Errors, {"checks": [Fine, Broken]}, "json", 200, {"errors": [NOTICE, GONE]}),
        (OwnPlugins, {}, "json", 503, {"draining": NOTICE, "mine": "OK"}),
        (Rendering, {}, "json", 218, {"status": 503, "Fine": "OK"}),
        (Rendering, {}, "html", 218, "503 Fine=1"),
        (HealthCheckView, {"template_name": "own.html"}, "html", 503, "down True 503 1"),
    ],
)
def test_subclass__is_told_that_the_host_is_drained(
    view_class: type[HealthCheckView],
    options: dict[str, Any],
    kind: str,
    status: int,
    body: object,
    mount: Mount,
    client: Client,
    settings: Settings,
) -> None:
    """Whatever a view renders itself, it is told the status; ``errors`` has the notice first, like that of a check."""
    loaders = [("django.template.loaders.locmem.Loader", {"own.html": TEMPLATE})]
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}
    ]
    mount(path("ready/", view_class.as_view(readiness=True, **{"checks": [Fine], **options}), name="ready"))
    assert runtime.drain()
    response = client.get("/ready/", {"format": kind}, headers={"Accept": f"application/{kind}"})
    assert response.status_code == status
    if kind == "json":
        assert list(response.json().items()) == list(body.items())  # type: ignore[attr-defined]
    else:
        assert str(body) in response.content.decode()


def test_get_plugins__as_a_user_calls_it() -> None:
    """Called by hand it yields the label and an instance of each check, unusable entries too."""
    view = HealthCheckView(checks=[Fine, "no.such.Check"])
    found = list(view.get_plugins())
    assert [label for label, _ in found] == ["Fine", "no.such.Check"]
    assert all(isinstance(check, HealthCheck) for _, check in found)


def test_view__called_without_urlconf() -> None:
    """A view called by hand, in a user's unit test say, answers for its own checks."""
    request = RequestFactory().get("/anything/?format=json")
    response = HealthCheckView.as_view(checks=[Broken], error_status_code=503)(request)
    assert response.status_code == 503
    assert GONE.encode() in response.content


def test_names_of_3x__deprecated() -> None:
    """MainView is the view that goes by what is registered, use_threading is accepted; both with a warning."""
    import health_check.views

    with pytest.warns(DeprecationWarning, match="HealthCheckView"):
        assert health_check.views.MainView is RegisteredView
    with pytest.warns(DeprecationWarning, match="MAX_CONCURRENCY"):
        HealthCheckView.as_view(use_threading=False)
