"""A path without a name is a secret of the site: everything calls the endpoint by a number."""

from __future__ import annotations

import io

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponseBase
from django.test import Client
from django.urls import include, path
from pytest_django import Settings

from health_check.management.server import addresses
from health_check.monitor import runtime
from health_check.registry.catalogue import Catalogue
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.recording import attributes, meter_provider, recording_spans

SECRET = "super-secret-path"
FORMATS = ("html", "json", "text", "health+json", "rss", "atom")


def hidden(request: HttpRequest) -> HttpResponseBase:
    """Answer by a health view that the URLconf does not show."""
    return HealthCheckView.as_view(checks=[Broken])(request)


@pytest.fixture(autouse=True)
def _site(mount: Mount, settings: Settings) -> None:
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    mount(
        path(f"{SECRET}/", HealthCheckView.as_view(checks=["no.such.Check", Broken])),
        path("deep/", include([path(f"{SECRET}/", HealthCheckView.as_view(checks=[Fine], error_status_code=503))])),
        path(f"hidden/{SECRET}/", hidden),
        path("health/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"),
        path("metrics", MetricsView.as_view(), name="metrics"),
    )


def command(*arguments: str) -> str:
    """Return what a command prints, or why it fails."""
    output = io.StringIO()
    try:
        call_command(*arguments, stdout=output, stderr=output)
    except CommandError as error:
        output.write(str(error))
    except SystemExit as error:
        output.write(f"exit code {error.code}")
    return output.getvalue()


def test_unnamed__on_no_face_but_its_own(client: Client) -> None:
    """Metrics, spans, the command, messages, lists and other endpoints call it by a number."""
    with meter_provider(gauges=True) as (_, metrics), recording_spans() as spans:
        for url in (f"/{SECRET}/", f"/deep/{SECRET}/", f"/hidden/{SECRET}/"):
            assert client.get(url, {"format": "json"}).status_code in (200, 500)
        told = {
            "other endpoints": " ".join(client.get("/health/", {"format": name}).content.decode() for name in FORMATS),
            "metrics": client.get("/metrics").content.decode(),
            "instruments": " ".join(metric.to_json() for metric in metrics.collect().values()),
            "spans": " ".join(f"{span.name} {attributes(span)}" for span in spans.finished),
            "system checks": " ".join(map(str, run_checks(tags=["health_check"]))),
            "command": command("health_check"),
            "unknown endpoint": command("health_check", "nobody"),
            "endpoint by number": command("health_check", "unnamed-1", "--no-http"),
            "server of an endpoint by number": command("health_check", "unnamed-1"),
            "drain": command("health_drain"),
            "exporter": " ".join(addresses()),
            "report": str(runtime.read().reports),
        }
    command("health_drain", "--undo")
    assert [face for face, text in told.items() if SECRET in text] == []
    for face in ("metrics", "instruments", "unknown endpoint", "report"):
        assert ["unnamed-1" in told[face], "unnamed-2" in told[face], "unnamed-3" in told[face]] == [True] * 3, face
    assert "/health/" in told["exporter"]
    assert "no.such.Check" in told["endpoint by number"]


def test_unnamed__the_command_takes_its_path() -> None:
    """Who knows the path can ask for it."""
    assert "Fine" in command("health_check", f"/deep/{SECRET}/", "--no-http")


def test_unnamed__numbers_are_those_of_the_urlconf(client: Client) -> None:
    """Which endpoint is asked first does not matter."""
    client.get(f"/hidden/{SECRET}/")
    client.get(f"/deep/{SECRET}/")
    catalogue: Catalogue = runtime.get().catalogue
    assert [endpoint.name for endpoint in catalogue.endpoints] == ["unnamed-1", "unnamed-2", "health", "unnamed-3"]
