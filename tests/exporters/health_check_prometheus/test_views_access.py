"""Who may see the metrics page."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.urls import path
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from pytest_django import Settings

from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.site.stacks import STACKS, Ask

TOKEN = "a-planted-token"


class Scraped(Collector):
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def collect(self) -> list[Any]:
        self.times += 1
        return []


@pytest.fixture
def scraped(settings: Settings) -> Scraped:
    """The collector of a site that knows its users."""
    settings.MIDDLEWARE = ["tests.support.site.middleware.users"]
    return Scraped()


def mounted(mount: Mount, scraped: Scraped, **options: Any) -> None:
    """Mount a metrics page."""
    registry = CollectorRegistry()
    registry.register(scraped)
    scraped.times = 0  # registering asks once
    mount(path("metrics", MetricsView.as_view(registry=registry, **options)))


WHO: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"headers": {"Authorization": "Bearer wrong"}}, False),
    ({"peer": "192.0.2.1"}, False),
    ({"peer": ""}, False),
    ({"session": "customer"}, False),
    ({"session": "no such session"}, False),
    ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, True),
    ({"headers": {"Authorization": f"bearer {TOKEN}"}}, True),
    ({"peer": "10.0.0.7"}, True),
    ({"session": "staff"}, True),
]


@STACKS
@pytest.mark.parametrize("stated", ["setting", "argument"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(("how", "is_in"), WHO)
def test_closed__table(
    ask: Ask,
    stated: str,
    method: str,
    how: dict[str, Any],
    is_in: bool,
    settings: Settings,
    mount: Mount,
    scraped: Scraped,
) -> None:
    """A closed page is for those who are let in; the others are refused before anything is collected."""
    rules: dict[str, Any] = {"OPEN": False, "TOKENS": [TOKEN], "NETWORKS": ["10.0.0.0/8"]}
    settings.HEALTH_CHECK = {"ACCESS": rules if stated == "setting" else {"OPEN": True}}
    options = {} if stated == "setting" else {name.lower(): value for name, value in rules.items()}
    mounted(mount, scraped, **options)
    response = ask("/metrics", method=method, **how)
    assert response.status_code == (200 if is_in else 401)
    assert ("WWW-Authenticate" in response.headers) == (not is_in)
    assert scraped.times == (1 if is_in and method != "OPTIONS" else 0)


@STACKS
def test_closed__without_tokens(ask: Ask, settings: Settings, mount: Mount, scraped: Scraped) -> None:
    """Where no token would help, it is 403, and no cache keeps it; the argument opens what the setting closes."""
    settings.HEALTH_CHECK = {"ACCESS": {"OPEN": False}}
    mounted(mount, scraped)
    response = ask("/metrics")
    assert (response.status_code, scraped.times) == (403, 0)
    assert "WWW-Authenticate" not in response.headers
    assert "no-store" in response.headers["Cache-Control"]
    mounted(mount, scraped, open=True)
    assert ask("/metrics").status_code == 200


@STACKS
@pytest.mark.parametrize("details", ["always", "authorized", "never"])
def test_open__whatever_the_details(
    ask: Ask, details: str, caplog: pytest.LogCaptureFixture, settings: Settings, mount: Mount, scraped: Scraped
) -> None:
    """Metrics have no messages: who may read those does not matter, and no user is looked up for it."""
    settings.HEALTH_CHECK = {"ACCESS": {"DETAILS": details}}
    mounted(mount, scraped)
    assert ask("/metrics", session="no such session").status_code == 200
    assert scraped.times == 1
    assert [record for record in caplog.records if record.name == "health_check"] == []


@STACKS
def test_unusable__nobody_is_let_in(
    ask: Ask, caplog: pytest.LogCaptureFixture, settings: Settings, mount: Mount, scraped: Scraped
) -> None:
    """A rule that cannot be used is said in plain words, and logged once, by our logger."""
    caplog.set_level(logging.WARNING)
    settings.HEALTH_CHECK = {"ACCESS": {"TOKENS": TOKEN}}
    mounted(mount, scraped)
    for _ in range(3):
        response = ask("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 500
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "TOKENS" in response.content.decode()
        assert TOKEN not in response.content.decode()
    assert scraped.times == 0
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["health_check"]
