"""What the page says of the other endpoints: where they are, and what they answer."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine


@pytest.fixture
def _site(mount: Mount, settings: Settings) -> None:
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 0}
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine]), name="health"),
        path("ready/", view(checks=[Fine]), name="ready"),
        path("broken/", view(checks=[Broken]), name="broken"),
        path("closed/", view(checks=[Fine], open=False), name="closed"),
        path("unnamed-secret/", view(checks=[Fine])),
    )


def shown(document: str) -> list[tuple[str, str, str]]:
    """Return the name, the path and the status of each endpoint that a page links to."""
    found = re.findall(
        r'<a href="(/[^"]*)" title="([^"]*)"[^>]*>([^<]*)(?:<span class="status[^"]*">(\d+)</span>)?</a>', document
    )
    assert all(link == text.strip() for link, _, text, _ in found)
    return [(name, link, status) for link, name, _, status in found]


@pytest.mark.usefixtures("_site")
def test_addresses__what_is_known_is_told(client: Client) -> None:
    """Endpoints are shown by their paths; what one answers is told once its checks have run, if all may ask there."""
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers ask at /ready/." in document
    assert shown(document) == [
        ("health", "/health/", "200"),
        ("ready", "/ready/", ""),
        ("broken", "/broken/", ""),
        ("closed", "/closed/", ""),
    ]
    client.get("/broken/")
    assert ("broken", "/broken/", "500") in shown(client.get("/health/?q=").content.decode())


@pytest.mark.usefixtures("_site")
def test_addresses__what_load_balancers_get(client: Client) -> None:
    """The banner says what load balancers get where they ask, also while the host is drained."""
    client.get("/ready/")
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers get <strong>200</strong> at /ready/." in document
    assert "drained" not in document
    assert "Load balancers and robots get <strong>200</strong>." in client.get("/ready/").content.decode()
    runtime.drain()
    document = client.get("/health/").content.decode()
    assert "Robots get <strong>200</strong> here. Load balancers get <strong>503</strong> at /ready/." in document
    assert "All checks pass here; this host is drained" in document
    assert ("ready", "/ready/", "503") in shown(document)


def test_addresses__nothing_without_details(client: Client, mount: Mount) -> None:
    """Who may see no details sees no other endpoint."""
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine], details="never"), name="health"),
        path("ready/", view(checks=[Fine]), name="ready"),
    )
    runtime.drain()
    document = client.get("/health/").content.decode()
    assert "/ready/" not in document
    assert "drained" not in document
