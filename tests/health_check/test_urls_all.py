"""``include("health_check.urls.all")`` and ``HEALTH_CHECK["EXPORTERS"]``: what one line of each brings."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, reverse
from pytest_django import Settings

from health_check import extensions
from health_check.management.system_checks.endpoints import check_routes
from health_check.management.system_checks.installation import check_exporters
from health_check.registry.endpoints import discover
from health_check.registry.plugins import plugin_dir
from tests.conftest import Mount
from tests.support.checks import Broken
from tests.support.messages import ids
from tests.support.servers import ROOT
from tests.support.wheel import run

READY = "health_check:health_check_ready"

SITE = """
import json, sys
from django.conf import settings
from django.urls import include, path
apps, options = json.loads(sys.argv[1])
settings.configure(
    INSTALLED_APPS=apps, HEALTH_CHECK=options, ROOT_URLCONF="__main__", SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django; django.setup()
from django.core.checks import run_checks
urlpatterns = [path("", include("health_check.urls.all"))]
from django.http import HttpResponse
from django.test import Client
found = {
    "loaded": [name for name in ("prometheus_client", "opentelemetry") if name in sys.modules],
    "outputs": list(__import__("health_check.extensions").extensions.outputs),
    "metrics": Client().get("/metrics").status_code,
    "ids": [message.id for message in run_checks(tags=["health_check"])],
}
print(json.dumps(found))
"""


PROMETHEUS = {"loaded": ["prometheus_client"], "outputs": ["textfile", "pushgateway"], "metrics": 200, "ids": []}
NOTHING = {"loaded": [], "outputs": [], "metrics": 404, "ids": []}


@pytest.mark.parametrize(
    ("apps", "options", "expected"),
    [
        (["health_check"], {}, PROMETHEUS),
        (["health_check_prometheus", "health_check"], {"EXPORTERS": []}, PROMETHEUS),
        (
            ["health_check"],
            {"EXPORTERS": ["opentelemetry", "prometheus"]},
            {**PROMETHEUS, "loaded": ["prometheus_client", "opentelemetry"]},
        ),
        (["health_check"], {"EXPORTERS": []}, NOTHING),
        (["health_check"], {"EXPORTERS": ["promethues"]}, {**NOTHING, "ids": ["health_check.W024"]}),
        (["health_check"], {"EXPORTERS": "prometheus"}, {**NOTHING, "ids": ["health_check.E001"]}),
    ],
)
def test_exporters__loaded(
    apps: list[str], options: dict[str, object], expected: dict[str, object], tmp_path: pathlib.Path
) -> None:
    """Prometheus comes with the app, or with its own; without an exporter the site starts, and is told why."""
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'exporters'}", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", SITE, json.dumps([apps, options])]
    assert json.loads(run(command, tmp_path, environment=environment).splitlines()[-1]) == expected


@pytest.fixture
def _loaded_again() -> Iterator[None]:
    yield
    extensions.failed_exporters.clear()


@pytest.mark.usefixtures("_loaded_again")
def test_w024__says_why(settings: Settings) -> None:
    """An exporter that cannot be loaded is named, with the reason and the name that was meant."""
    settings.HEALTH_CHECK = {"EXPORTERS": ["promethues", "json"]}
    extensions.load_exporters()
    first, second = check_exporters()
    assert (
        "'promethues' could not be loaded: ModuleNotFoundError: No module named 'health_check_promethues'" in first.msg
    )
    assert first.msg.endswith("Did you mean 'prometheus'?")
    assert "'json'" in second.msg


@pytest.mark.django_db
def test_all__mounts_everything(mount: Mount) -> None:
    """One line mounts health, live, ready and metrics, in the namespace of the app."""
    mount(path("", include("health_check.urls.all")))
    names = ["home", "live", "ready"]
    assert [reverse(f"health_check:health_check_{name}") for name in [*names, "metrics"]] == [
        "/health/",
        "/health/live/",
        "/health/ready/",
        "/metrics",
    ]
    assert [Client().get(reverse(f"health_check:health_check_{name}")).status_code for name in names] == [200] * 3
    metrics = Client().get("/metrics").content.decode()
    assert f'django_health_check_endpoint_status{{url_name="{READY}"}} 1.0' in metrics


def test_ready__of_the_default_endpoint(mount: Mount, settings: Settings) -> None:
    """Its checks are those of databases that the default endpoint has; it is drained, and fails with 503."""
    mount(path("", include("health_check.urls.all")))
    ready = next(endpoint for endpoint in discover(settings.ROOT_URLCONF) if endpoint.name == READY)
    assert (ready.items(), ready.is_readiness, ready.option("error_status_code")) == (
        ("health_check.Database",),
        True,
        503,
    )


class BrokenDatabase(Broken):
    """Is no check of ours."""


def test_ready__of_registered_checks(mount: Mount, settings: Settings) -> None:
    """Where checks are registered as in 3.x, it has those of databases among them, and else none."""
    try:
        with pytest.warns(DeprecationWarning, match="plugin_dir"):
            plugin_dir.register(BrokenDatabase)
        mount(path("", include("health_check.urls.all")))
        ready = next(endpoint for endpoint in discover(settings.ROOT_URLCONF) if endpoint.name == READY)
        assert ready.items() == ()
    finally:
        plugin_dir.entries = None


def test_w025__route_that_is_there_twice(mount: Mount) -> None:
    """A route that both we and the site have is told, whichever is served."""

    def own(request: object) -> HttpResponse:
        return HttpResponse()

    mount(path("metrics", own), path("", include("health_check.urls.all")), path("health/ready/", own))
    messages = check_routes()
    assert ids(messages) == ["health_check.W025"] * 2
    assert "'metrics' is there twice" in messages[0].msg
    assert "own is served, and hides health_check_prometheus.views.MetricsView." in messages[0].msg
    assert "ReadinessView is served, and hides" in messages[1].msg
    mount(path("", include("health_check.urls.all")), path("metric", own))
    assert check_routes() == []
