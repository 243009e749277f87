"""Two Redis servers at two endpoints: two checks, each told of by itself, and one of them once."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable

import pytest
import redis
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.contrib.redis import Redis
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.caches import redis_server

pytestmark = pytest.mark.server


def factory(port: int) -> Callable[[], redis.Redis]:
    """Return what makes a client of a server."""
    return lambda: redis.Redis(port=port)


def by_url(port: int) -> tuple[type[Redis], dict[str, object]]:
    """Return the entry of a server by its URL."""
    return Redis, {"url": f"redis://127.0.0.1:{port}/0"}


def by_factory(port: int) -> tuple[type[Redis], dict[str, object]]:
    """Return the entry of a server by a function of its own that closes over the port."""
    return Redis, {"client_factory": factory(port)}


@pytest.mark.parametrize("entry", [by_url, by_factory])
def test_two_servers__two_checks(
    tmp_path: pathlib.Path, settings: Settings, mount: Mount, client: Client, entry: Callable[[int], object]
) -> None:
    """Each endpoint tells of its own server, the first under the plain label; a third endpoint shares the first's."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 0}
    with contextlib.ExitStack() as stack:
        sessions = stack.enter_context(redis_server(tmp_path / "sessions"))
        carts = stack.enter_context(redis_server(tmp_path / "carts"))
        mount(
            path("sessions/", HealthCheckView.as_view(checks=[entry(sessions.port)]), name="sessions"),
            path("carts/", HealthCheckView.as_view(checks=[entry(carts.port)]), name="carts"),
            path("shared/", HealthCheckView.as_view(checks=[entry(sessions.port)]), name="shared"),
            path("metrics", MetricsView.as_view(), name="metrics"),
        )
        first, second = runtime.get().catalogue.check_set.definitions
        assert (first, second[:6], len(second)) == ("Redis", "Redis#", 10)
        answers = {name: client.get(f"/{name}/?format=json") for name in ("sessions", "carts", "shared")}
        assert {name: answer.json() for name, answer in answers.items()} == {
            "sessions": {first: "OK"},
            "carts": {second: "OK"},
            "shared": {first: "OK"},
        }
        carts.server.kill()
        assert client.get("/sessions/").status_code == client.get("/shared/").status_code == 200
        assert client.get("/carts/").status_code == 500
        text = client.get("/metrics").content.decode()
    assert f'django_health_check_status{{check="{first}"}} 1.0' in text
    assert f'django_health_check_status{{check="{second}"}} 0.0' in text
    assert "127.0.0.1" not in text
