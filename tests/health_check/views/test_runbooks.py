"""The runbooks of alerts that a health endpoint serves."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import path

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.boards import alert_rules

NAMES = [rule["alert"] for rule in alert_rules()]


class Untouched(HealthCheck):
    """A check that no request for a runbook may run."""

    def check_status(self) -> None:
        raise AssertionError


@pytest.fixture
def client(mount: Mount, client: Client) -> Client:
    """A client of a site whose endpoint has a check that must not run."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[Untouched]), name="health"),
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
        path("closed/", HealthCheckView.as_view(checks=[], open=False), name="closed"),
    )
    return client


@pytest.mark.parametrize("name", NAMES)
def test_runbook__each_alert_has_one(client: Client, name: str) -> None:
    """The endpoint answers what the alert means, how to look closer, and how to silence it, and runs no check."""
    response = client.get("/health/", {"runbook": name.lower()})
    text = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert text.startswith(f"# {name}\n\n**Means.** ")
    assert "**Look closer.**" in text
    assert "**Silence.**" in text
    assert "](" not in text


def test_runbook__list_and_unknown(client: Client) -> None:
    """Without a name all are listed; an unknown one is 404, with the list."""
    listed = client.get("/health/", {"runbook": "", "format": "json"})
    assert listed.status_code == 200
    assert listed.content.decode().split()[-len(NAMES) :] == NAMES
    unknown = client.get("/health/", {"runbook": "<script>\x1b" + "x" * 1000})
    assert unknown.status_code == 404
    assert "There is no alert '<script>\\x1bxx" in unknown.content.decode()
    assert len(unknown.content) < 2000


def test_runbook__within_access_and_cache(client: Client) -> None:
    """Who may not ask gets none; an answer that was kept for the page is no runbook, nor the other way round."""
    assert client.get("/closed/", {"runbook": NAMES[0]}).status_code == 403
    assert client.get("/live/?format=text").content == b""
    assert client.get(f"/live/?format=text&runbook={NAMES[0]}").content.startswith(b"# HealthCheck")
    assert client.get("/live/?format=text").content == b""
    assert client.post(f"/live/?runbook={NAMES[0]}").status_code == 405
    assert client.head(f"/live/?runbook={NAMES[0]}").content == b""


def test_runbook__async(client: Client) -> None:
    """Under ASGI it is the same."""
    response = async_to_sync(AsyncClient().get)("/health/", {"runbook": NAMES[0]})
    assert response.status_code == 200
    assert response.content.startswith(f"# {NAMES[0]}\n".encode())
