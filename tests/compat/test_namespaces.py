"""The names of the endpoints: a namespace, as in django-health-check 3.x, whoever includes them and how often."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.test import Client
from django.urls import include, path, resolve, reverse
from pytest_django import Settings

from health_check.management.system_checks.endpoints import check_endpoints
from health_check.management.system_checks.migration import check_names
from health_check.registry.endpoints import discover
from tests.conftest import Mount
from tests.support.messages import ids

W015 = "health_check.W015"


class LoginRequired:
    """Middleware that lets nobody in but for views on a list, by their names."""

    OPEN = ("login", "health_check:health_check_home")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *rest: object) -> HttpResponseBase | None:
        """Send everybody else to the login page."""
        match = resolve(request.path_info)
        return None if match.view_name in self.OPEN else redirect("/login/")


def test_namespace__that_of_3x(mount: Mount) -> None:
    """The view is called as in 3.x, both ways round, and no other way."""
    mount(path("health/", include("health_check.urls")))
    assert resolve("/health/").view_name == "health_check:health_check_home"
    assert reverse("health_check:health_check_home") == "/health/"
    assert reverse("health_check:health_check_live") == "/health/live/"


def test_namespace__middleware_with_a_list_of_views(mount: Mount, settings: Settings, client: Client) -> None:
    """A login middleware that has the view on its list lets probes pass."""
    settings.MIDDLEWARE = [f"{__name__}.LoginRequired"]
    mount(path("health/", include("health_check.urls")))
    assert client.get("/health/live/").status_code == 302
    assert client.get("/health/?format=json").headers["Content-Type"] == "application/json"


def test_namespace__three_times_over(mount: Mount, settings: Settings, client: Client) -> None:
    """Mounted under three namespaces, each has names of its own, and the plain one leads to one of them."""
    mount(
        path("ht/", include("health_check.urls", namespace="ht")),
        path("", include(([path("k8s/", include("health_check.urls", namespace="k8s"))], "ops"))),
        path("status/", include(("health_check.urls", "health_check"), namespace="status")),
    )
    names = [endpoint.name for endpoint in discover(str(settings.ROOT_URLCONF))]
    homes = ["ht:health_check_home", "ops:k8s:health_check_home", "status:health_check_home"]
    assert names == [name for home in homes for name in (home, home.replace("home", "live"))]
    assert [client.get(f"{reverse(home)}live/").status_code for home in homes] == [200] * 3
    assert reverse("health_check:health_check_home").endswith("/")
    assert check_endpoints() == []


def template(folder: pathlib.Path, settings: Settings, text: str) -> None:
    """Give the site a template."""
    (folder / "base.html").write_text(text)
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder]}]


def test_w015__settings_and_templates(mount: Mount, settings: Settings, tmp_path: pathlib.Path) -> None:
    """A setting or a template that names a view without its namespace is told, with what to write."""
    settings.LOGIN_EXEMPT = {"views": ["login", "health_check_home"]}
    template(tmp_path, settings, "<a href=\"{% url 'health_check_live' %}\"> {% url 'other' %}")
    mount(path("health/", include("health_check.urls")))
    messages = check_names()
    assert ids(messages) == [W015, W015]
    assert messages[0].msg.startswith("The setting LOGIN_EXEMPT names the view 'health_check_home'")
    assert str(tmp_path / "base.html") in messages[1].msg
    assert "'health_check:health_check_live'" in messages[1].msg


def test_w015__not_for_other_names(mount: Mount, settings: Settings, tmp_path: pathlib.Path) -> None:
    """A name with a namespace, any other, and that of a view of the site's own, is in order."""
    mount(path("health/", include("health_check.urls")))
    for name in ("health_check:health_check_home", "health"):
        settings.LOGIN_EXEMPT = name
        template(tmp_path, settings, f"{{% url '{name}' %}}")
        assert check_names() == []
    settings.LOGIN_EXEMPT = "health_check_home"
    mount(path("health/", lambda request: HttpResponse(), name="health_check_home"))
    assert check_names() == []
