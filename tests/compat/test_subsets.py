"""Subsets of django-health-check 3.x: by route, by command, under the names that checks had there."""

from __future__ import annotations

import re

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client
from django.urls import include, path, reverse
from pytest_django import Settings

from health_check.management.system_checks.migration import check_subsets
from health_check.management.system_checks.settings import check_settings
from health_check.registry.plugins import plugin_dir
from health_check.views import HealthCheckView
from tests.compat.shapes import Down, Up
from tests.conftest import Mount
from tests.support.messages import ids

pytestmark = pytest.mark.filterwarnings("ignore:plugin_dir|HEALTH_CHECK..SUBSETS:DeprecationWarning")

SUBSETS = {"startup": ["Up", "Down"], "readiness": ["Up"], "live": ["Up"], "none": ["NoSuchCheck"]}


@pytest.fixture(params=["include", "route"])
def site(request: pytest.FixtureRequest, mount: Mount, settings: Settings) -> None:
    """A site with two checks and four subsets, by ``include`` or by a route and a view of its own."""
    settings.HEALTH_CHECK = {"SUBSETS": SUBSETS, "MAX_AGE": 60}
    plugin_dir.register(Up)
    plugin_dir.register(Down)
    if request.param == "include":
        mount(path("health/", include("health_check.urls")))
    else:
        view = HealthCheckView.as_view(checks=[Up, Down])
        mount(path("health/<str:subset>/", view, name="subset"), path("health/", view, name="all"))


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("subset", "status", "labels"),
    [
        ("", 500, ["Up", "Down"]),
        ("startup/", 500, ["Up", "Down"]),
        ("readiness/", 200, ["Up"]),
        ("live/", 200, ["Up"]),
        ("none/", 200, []),
    ],
)
def test_route__its_checks_alone(client: Client, subset: str, status: int, labels: list[str]) -> None:
    """A subset has the status of its own checks, in every format, cached or not."""
    for _ in range(2):
        response = client.get(f"/health/{subset}?format=json")
        assert (response.status_code, list(response.json())) == (status, labels)
        for accept in ("text/html", "text/plain"):
            assert client.get(f"/health/{subset}", headers={"accept": accept}).status_code == status


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("query", ["", "?format=json", "?format=rss"])
def test_route__unknown(client: Client, query: str) -> None:
    """A subset that there is not is 404, synchronous or not: never all checks, nor an answer that is kept for all."""
    assert client.get(f"/health/{query}").status_code in (200, 500)
    for get in (client.get, async_to_sync(AsyncClient().get)):
        assert get(f"/health/typo/{query}").status_code == 404
        assert get(f"/health/readiness/{query}").status_code == 200


def test_route__name(mount: Mount, client: Client, settings: Settings) -> None:
    """The route has the name that it had; without subsets there is none, so that those of the site are its own."""
    mount(path("health/", include("health_check.urls")), path("health/ready/", HealthCheckView.as_view(checks=[Up])))
    assert client.get("/health/ready/?format=json").json() == {"Up": "OK"}
    assert client.get("/health/typo/").status_code == 404
    settings.HEALTH_CHECK = {"SUBSETS": SUBSETS}
    mount(path("health/", include("health_check.urls")))
    assert reverse("health_check:health_check_subset", args=["readiness"]) == "/health/readiness/"


@pytest.mark.parametrize(
    "name",
    [f"{name}{options}" for name in ("DatabaseBackend", "Database") for options in ("", "(alias='default')")],
)
@pytest.mark.django_db
def test_names__as_in_every_version(mount: Mount, settings: Settings, client: Client, name: str) -> None:
    """Checks of ours are known by what they were called in any version."""
    settings.HEALTH_CHECK = {"SUBSETS": {"ready": [name]}}
    mount(path("health/", include("health_check.urls")))
    assert client.get("/health/ready/?format=json").json() == {"Database": "OK"}


@pytest.mark.usefixtures("site")
def test_command__subset(capsys: pytest.CaptureFixture[str]) -> None:
    """The command runs a subset, as in exec probes, and fails for one that there is not, or that fails."""
    call_command("health_check", "-s", "readiness")
    assert re.fullmatch(r"Up +\.\.\. OK\n", capsys.readouterr().out)
    call_command("health_check", subset=["readiness"])
    with pytest.raises(SystemExit, match="1"):
        call_command("health_check", "--subset=startup")
    assert "unavailable: it is down" in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"There is no subset 'typo'.*startup, readiness, live, none") as caught:
        call_command("health_check", "--subset", "typo")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="leave ENDPOINT out"):
        call_command("health_check", "/health/", "--subset", "readiness")


@pytest.mark.parametrize("value", [["Up"], {"ready": "Up"}, {"ready": None}])
def test_setting__unusable(mount: Mount, settings: Settings, client: Client, value: object) -> None:
    """What is no dict of lists is an answer in plain words, and a message of the system check."""
    settings.HEALTH_CHECK = {"SUBSETS": value}
    mount(path("health/<str:subset>/", HealthCheckView.as_view(checks=[Up]), name="subset"))
    response = client.get("/health/ready/")
    assert (response.status_code, "use a dict of lists of checks by name" in response.text) == (500, True)
    assert any("use a dict of lists" in message.msg for message in check_settings())


def test_w041__names_that_no_check_has(mount: Mount, settings: Settings) -> None:
    """A name that no check has, or has any more, is told: never a subset that is silently empty."""
    plugin_dir.register(Up)
    mount(path("health/", include("health_check.urls")), path("own/", HealthCheckView.as_view(checks=[Down])))
    assert check_subsets() == []
    settings.HEALTH_CHECK = {"SUBSETS": {"a": ["Up", "Down", "CeleryHealthCheckHigh"], "b": ["Up"]}}
    [message] = check_subsets()
    assert message.msg == "HEALTH_CHECK['SUBSETS']['a'] names 'CeleryHealthCheckHigh', but no check has that name."
    assert ids([message]) == ["health_check.W041"]
