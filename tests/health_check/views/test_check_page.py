"""The page of one check."""

from __future__ import annotations

import dataclasses
import shlex
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.past import Failure
from health_check.records import State
from health_check.views import HealthCheckView
from health_check.views.check_page import copies_of
from tests.conftest import Mount
from tests.support.status_page import StatusPage


@dataclasses.dataclass
class Search(HealthCheck):
    """Ask the index for one document.

    That costs the server one query.
    """

    index: str = "main"
    password: str = dataclasses.field(default="", repr=False)

    def check_status(self) -> None:
        raise ServiceUnavailable("the index is gone")


OPTIONS: dict[str, Any] = {
    "name": "a=b & c",
    "index": "customers",
    "password": "hunter2",
    "title": "Customers",
    "description": "Finds customers.",
    "runbook": "https://wiki.example.com/search",
    "tags": {"owner": "team-search"},
    "timeout": 3,
}


@pytest.fixture
def _site(mount: Mount, settings: Settings) -> None:
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 0, "TRACE_URL": "https://tempo.example.com/{trace_id}"}
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[(Search, OPTIONS)]), name="health"),
        path("ready/", view(checks=[(Search, {**OPTIONS, "critical_service": False})]), name="ready"),
    )


@pytest.mark.usefixtures("_site")
def test_page__of_a_check(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what the check is and how it was, and has no secret."""
    failure = Failure(
        finished=time.time(),
        state=State.ERROR,
        host="web-7",
        message="first line\nsecond line",
        trace_id="abcdef0123456789",
    )
    monkeypatch.setattr("health_check.monitor.runtime.failures", lambda readings: {"a=b & c": (failure,)})
    response = client.get("/health/?check=a%3Db+%26+c")
    assert response.status_code == 500
    document = response.content.decode()
    told = [
        "<title>✗ Customers: error for 0 s</title>",
        "unavailable: the index is gone",
        "Finds customers.",
        "Ask the index for one document.",
        "That costs the server one query.",
        "test_check_page.Search",
        "index=&#x27;customers&#x27;",
        "/health/ critical, url_name health\n/ready/ optional, url_name ready",
        "3 s",
        "team-search",
        '<a href="https://wiki.example.com/search" rel="noreferrer">',
        "<details><summary>first line</summary>second line</details>",
        '<a href="https://tempo.example.com/abcdef0123456789" rel="noreferrer">abcdef01</a>',
        "Last 24 hours",
        "Last 90 days",
        'href="?format=json&amp;check=a%3Db+%26+c"',
    ]
    assert [text for text in told if text not in document] == []
    assert "hunter2" not in document
    assert "?check=a%3Db+%26+c" not in StatusPage(document).links[0]


@pytest.mark.usefixtures("_site")
def test_page__links_and_copies(client: Client) -> None:
    """Each row of the page of all checks links to the page of its check.

    What is to be copied there has the address that was asked for, also where pages are kept.
    """
    document = client.get("/health/").content.decode()
    assert "?check=a%3Db+%26+c" in StatusPage(document).links
    assert "What it is" not in document
    for host in ("testserver", "localhost", "testserver"):
        document = client.get("/health/?check=a%3Db+%26+c", headers={"Host": host}).content.decode()
        assert f"http://{host}/health/?check=a%3Db+%26+c&amp;format=text" in document


@pytest.mark.parametrize("label", ["Database", "it's", 'a "b" \\ c', "$(touch /tmp/x)", "größe ☃", "a\nb", "]x["])
def test_copies__quoted(label: str) -> None:
    """What is to be copied into a shell or a query means the label, whatever is in it."""
    copies = dict(copies_of(label, "https://x/health/"))
    command = shlex.split(copies["Run it now"])
    assert command == ["python", "manage.py", "health_check", "--fresh", "--check", label]
    assert len(shlex.split(copies["Its state"])) == 4
    assert "\n" not in copies["PromQL"]
    quoted = copies["PromQL"].partition("check=")[2].rpartition(",state")[0]
    assert quoted[1:-1].encode().decode("unicode_escape").encode("latin-1").decode() == label
