"""Draining, as subclasses of the health view and templates of the project's own show it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine

NOTICE = "unavailable: this host is drained"


@pytest.fixture(autouse=True)
def _drained(mount: Mount) -> None:
    """Be on a host that is drained."""
    assert runtime.drain()


def answer(mount: Mount, view: type[HealthCheckView], kind: str = "json", **options: object) -> Any:
    """Return what a readiness endpoint answers."""
    mount(path("ready/", view.as_view(readiness=True, **options), name="ready"))
    assert runtime.drain()
    return Client().get("/ready/", {"format": kind})


class ByErrors(HealthCheckView):
    """Decides by ``errors``, as the documentation of 3.2x has it."""

    checks = (Fine,)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        status = 500 if self.errors else 200
        if request.GET.get("format") == "json":
            return self.render_to_response_json(self.plugins, status)
        return self.render_to_response(self.plugins, status)


@pytest.mark.parametrize("kind", ["json", "html"])
def test_errors__say_so(kind: str, mount: Mount) -> None:
    """A view that decides by ``errors`` fails, too, with the status it likes."""
    response = answer(mount, ByErrors, kind)
    assert response.status_code == 500
    said = "this host is drained" if kind == "json" else "Drained: this host"
    assert said in response.content.decode()


class ByCheck(HealthCheckView):
    """Tells what ``check()`` returns."""

    checks = (Fine, Broken)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return JsonResponse({"check": [str(error) for error in self.check()], "plugins": list(self.plugins)})


def test_errors__come_before_those_of_checks(mount: Mount) -> None:
    """It is an error like others, and no check."""
    assert answer(mount, ByCheck).json() == {
        "check": [NOTICE, "unavailable: Something went wrong!"],
        "plugins": ["Fine", "Broken"],
    }


class OwnPlugins(HealthCheckView):
    """Chooses its checks in code."""

    def get_plugins(self) -> Iterable[Any]:
        yield "mine", Fine()


class OwnJson(HealthCheckView):
    """Renders its own JSON."""

    checks = (Fine,)

    def render_to_response_json(self, plugins: Any, status: int = 200) -> HttpResponse:
        return JsonResponse({str(label): plugin.status for label, plugin in plugins.items()}, status=status)


class OwnPage(HealthCheckView):
    """Renders its own page."""

    checks = (Fine,)

    def render_to_response(self, plugins: Any, status: int) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(f"{len(plugins)} checks", status=status)


@pytest.mark.parametrize(
    ("view", "kind", "body"),
    [
        (OwnPlugins, "json", {"draining": NOTICE, "mine": "OK"}),
        (OwnJson, "json", {"Fine": 1}),
        (OwnPage, "json", {"draining": NOTICE, "Fine": "OK"}),
        (OwnPage, "html", "1 checks"),
    ],
)
def test_hooks__get_the_status(view: type[HealthCheckView], kind: str, body: object, mount: Mount) -> None:
    """Whatever a view renders itself, it is told the status."""
    response = answer(mount, view, kind)
    assert response.status_code == 503
    assert (response.json() if kind == "json" else response.content.decode()) == body


class ByClass(HealthCheckView):
    """Is for readiness, as its class says."""

    readiness = True
    checks = (Fine,)


def test_mark__of_a_class(mount: Mount) -> None:
    """The mark of a class counts, unless the argument says otherwise."""
    mount(path("a/", ByClass.as_view(), name="a"), path("b/", ByClass.as_view(readiness=False), name="b"))
    assert runtime.drain()
    assert [Client().get(url).status_code for url in ("/a/", "/b/")] == [503, 200]


OWN = "{% if errors %}down{% else %}up{% endif %} {{ report.draining }} {{ report.status_code }} {{ plugins|length }}"


def test_template__of_the_project(mount: Mount, settings: Settings, tmp_path: pathlib.Path) -> None:
    """A template of the project's own, which knows ``errors`` alone, does not say that all is in order."""
    (tmp_path / "health_check").mkdir()
    (tmp_path / "health_check" / "index.html").write_text(OWN)
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [str(tmp_path)]}]
    response = answer(mount, HealthCheckView, "html", checks=[Fine])
    assert (response.status_code, response.content.decode()) == (503, "down True 503 1")
