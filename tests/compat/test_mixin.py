"""CheckMixin of django-health-check 3.x, as six projects use it: under DRF, a plain view, and commands."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import include, path
from django.views import View
from pytest_django import Settings

from health_check.registry.plugins import plugin_dir
from tests.compat.shapes import Down, Grumbling, Up
from tests.conftest import Mount

if TYPE_CHECKING:
    from health_check.views.mixins import CheckMixin
else:
    from health_check.mixins import CheckMixin

pytestmark = pytest.mark.filterwarnings("ignore:plugin_dir|HEALTH_CHECK..SUBSETS:DeprecationWarning")


class Readiness(CheckMixin, View):
    """A readiness view with an answer of its own."""

    def get(self, request: HttpRequest, subset: str | None = None) -> JsonResponse:
        """Answer with all checks, and their errors."""
        errors = self.check(subset)
        plugins = self.filter_plugins(subset)
        statuses = {label: str(plugin.pretty_status()) for label, plugin in plugins.items()}
        taken = [plugin.time_taken >= 0 for plugin in plugins.values()]
        return JsonResponse({"statuses": statuses, "taken": all(taken)}, status=503 if errors else 200)


@pytest.fixture(autouse=True)
def _registered() -> None:
    """Register checks, as apps do."""
    for check in (Up, Grumbling, Down):
        plugin_dir.register(check)


SAID = {"Up": "OK", "Grumbling": "1 problem(s)", "Down": "unavailable: it is down"}


def test_view__plain(mount: Mount, client: Client, settings: Settings) -> None:
    """A plain view has checks, their statuses and errors; a subset its own, and an unknown one is 404."""
    settings.HEALTH_CHECK = {"SUBSETS": {"some": ["Up", "Grumbling"]}}
    mount(path("ready/", Readiness.as_view()), path("ready/<str:subset>/", Readiness.as_view()))
    response = client.get("/ready/")
    assert (response.status_code, response.json()) == (503, {"statuses": SAID, "taken": True})
    response = client.get("/ready/some/")
    assert (response.status_code, list(response.json()["statuses"])) == (200, ["Up", "Grumbling"])
    assert client.get("/ready/typo/").status_code == 404


def test_view__rest_framework(mount: Mount, client: Client, settings: Settings) -> None:
    """A view of Django REST framework has them, too."""
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}
    pytest.importorskip("rest_framework")
    from rest_framework.response import Response
    from rest_framework.views import APIView

    class Status(CheckMixin, APIView):  # type: ignore[misc]
        authentication_classes = ()
        permission_classes = ()

        def get(self, request: Any) -> Any:
            return Response({"healthy": not self.errors, "checks": {k: v.status for k, v in self.plugins.items()}})

    mount(path("api/status/", Status.as_view()))
    said = client.get("/api/status/", headers={"accept": "application/json"}).json()
    assert said == {"healthy": False, "checks": {"Up": 1, "Grumbling": 0, "Down": 0}}


class Late(Up):
    """Its first instance is ready late, and each knows its name by then."""

    made = itertools.count()
    ready = threading.Event()

    def __init__(self) -> None:
        super().__init__()
        if next(Late.made) == 0:
            Late.ready.wait(60)

    def __repr__(self) -> str:
        return "By name"


def test_mixin__names_while_the_site_starts(mount: Mount, settings: Settings) -> None:
    """A label is right also while the same check is still constructed for an endpoint."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4}
    plugin_dir.reset()
    plugin_dir.register(Late)
    mount(path("health/", include("health_check.urls")))
    assert list(CheckMixin().plugins) == ["By name"]
    Late.ready.set()


class Own(CheckMixin):
    """Chooses its checks itself, and counts warnings of critical checks for nothing."""

    warnings_as_errors = False

    @property
    def plugins(self) -> dict[str, Any]:
        """The checks."""
        if self._plugins is None:
            self._plugins = {"first": Up(), "second": Down()}
        return self._plugins


def test_mixin__own_plugins() -> None:
    """What a subclass chooses runs under the names it gives, and its own instances tell how they were."""
    own = Own()
    assert [str(error) for error in own.run_check()] == ["unavailable: it is down"]
    assert {label: plugin.pretty_status() for label, plugin in own.plugins.items()} == {
        "first": "OK",
        "second": "unavailable: it is down",
    }


@pytest.mark.parametrize("threading", [True, False, None])
def test_mixin__errors_and_plugins(threading: bool | None) -> None:
    """``errors`` runs the checks; where that is done makes no difference."""
    checker = CheckMixin()
    checker.use_threading = threading
    assert list(checker.plugins) == ["Up", "Grumbling", "Down"]
    assert [str(error) for error in checker.errors] == ["unavailable: it is down"]
    assert [plugin.status for plugin in checker.plugins.values()] == [1, 0, 0]


def test_mixin__one_record_with_the_endpoint(mount: Mount, client: Client, settings: Settings) -> None:
    """The page and the view show the same run."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4}
    mount(path("health/", include("health_check.urls")), path("ready/", Readiness.as_view()))
    first = client.get("/health/?format=health%2Bjson").json()["checks"]
    client.get("/ready/")
    assert client.get("/health/?format=health%2Bjson").json()["checks"] == first
    assert json.dumps(first).count("observedValue") == 3


def test_mixin__nothing_registered() -> None:
    """Without anything registered there are the default checks; after ``reset()`` none, as there."""
    plugin_dir.entries = None
    assert list(CheckMixin().plugins) == ["Cache", "Database", "Disk", "Mail", "Memory", "Storage"]
    plugin_dir.reset()
    assert (CheckMixin().plugins, CheckMixin().errors) == ({}, [])
