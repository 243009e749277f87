"""The health view among the middleware and settings of a site: it depends on none of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Fine, Shaky

PATHS = ["/health/", "/health/?format=json", "/health/?format=rss", "/metrics"]


def plain(request: HttpRequest) -> HttpResponse:
    """Answer as any other view."""
    return HttpResponse("plain")


@pytest.fixture
def site(mount: Mount) -> None:
    """A site with health and metrics pages whose check is fine, and another page."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[(Shaky, {"critical_service": False})]), name="health"),
        path("metrics", MetricsView.as_view()),
        path("plain/", plain),
    )


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("url", PATHS)
def test_atomic_requests__no_transaction(monkeypatch: pytest.MonkeyPatch, client: Client, url: str) -> None:
    """Under ATOMIC_REQUESTS our views open no transaction, while others do; here any query raises."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        client.get("/plain/")
    response = client.get(url)
    assert response.status_code == 200
    assert "Shaky" in response.content.decode()


@pytest.mark.parametrize("url", ["/health/?format=json", "/metrics"])
def test_atomic_requests__second_database_gone(
    add_database: Callable[..., None], mount: Mount, client: Client, url: str
) -> None:
    """A second database under ATOMIC_REQUESTS that is gone is the Database check's matter alone."""
    add_database(
        "replica", ENGINE="django.db.backends.sqlite3", NAME="/nonexistent/folder/file.sqlite3", ATOMIC_REQUESTS=True
    )
    checks = [("health_check.Database", {"alias": "replica"}), Fine]
    mount(path("health/", HealthCheckView.as_view(checks=checks)), path("metrics", MetricsView.as_view()))
    client.raise_request_exception = False
    response = client.get(url)
    text = response.content.decode()
    assert "<title>" not in text
    if url == "/metrics":
        assert response.status_code == 200
        assert "django_health_check_status{check=\"Database(alias='replica')\"} 0.0" in text
    else:
        assert response.status_code == 500
        assert response.json()["Database(alias='replica')"].startswith("unavailable: ")
        assert response.json()["Fine"] == "OK"


@pytest.fixture
def _users(settings: Settings) -> None:
    """Users, and sessions in the database, which must not be queried in these tests."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ]
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]


@pytest.mark.usefixtures("_users", "site")
@pytest.mark.parametrize("url", PATHS)
def test_session__untouched(settings: Settings, client: Client, url: str) -> None:
    """Not even with a session cookie are session, user or database touched; a login that others require is not ours."""
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    response = client.get(url)
    assert response.status_code == 200
    assert "Shaky" in response.content.decode()
    assert "Cookie" not in response.headers["Vary"]
    assert not response.cookies
    assert not response.wsgi_request.session.accessed
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    anonymous = Client()
    assert anonymous.get("/plain/").status_code == 302
    assert anonymous.get(url).status_code == 200


@pytest.mark.parametrize("url", ["/health/?format=json", "/metrics"])
def test_cache_middleware__never_cached(settings: Settings, mount: Mount, client: Client, url: str) -> None:
    """Django's cache of the whole site never answers with an old state."""
    errors: list[str] = []

    class Flipping(HealthCheck):
        def check_status(self) -> None:
            for error in errors:
                self.add_error(error)

    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    mount(path("health/", HealthCheckView.as_view(checks=[Flipping])), path("metrics", MetricsView.as_view()))
    try:
        before = client.get(url).content
        errors.append("gone")
        assert client.get(url).content != before
    finally:
        cache.clear()
