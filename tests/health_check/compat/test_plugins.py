"""The registry of django-health-check 3.x: the views that go by it have what is registered, at any time."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import include, path
from pytest_django import Settings

from health_check.management.system_checks.migration import check_former
from health_check.registry.plugins import plugin_dir
from health_check.views import HealthCheckView
from health_check.views.registered import RegisteredView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Fine
from tests.support.messages import ids

pytestmark = pytest.mark.filterwarnings("ignore:plugin_dir:DeprecationWarning")

DEFAULT = ["Cache", "Database", "Disk", "Mail", "Memory", "Storage"]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave nothing registered to the next test."""
    yield
    plugin_dir.entries = None


def labels(client: Client, place: str) -> list[str]:
    """Return the labels of the checks of an endpoint."""
    return list(client.get(place, {"format": "json"}).json())


class Custom(RegisteredView):
    """A view as sites derive from MainView: it adds to the context."""

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Add something."""
        return {**super().get_context_data(**kwargs), "more": 1}


def test_register__which_views(mount: Mount, client: Client) -> None:
    """What is registered, with its options, is all that the views have that go by it; others have what they say."""
    plugin_dir.register(Alias, alias="other")
    plugin_dir.register("tests.support.checks.Fine")
    mount(
        path("health/", include("health_check.urls")),
        path("custom/", Custom.as_view()),
        path("default/", HealthCheckView.as_view()),
        path("own/", HealthCheckView.as_view(checks=[Broken])),
        path("of-its-own/", RegisteredView.as_view(checks=[Broken])),
    )
    assert labels(client, "/health/") == labels(client, "/custom/") == ["Alias(alias='other')", "Fine"]
    assert labels(client, "/health/live/") == []
    assert labels(client, "/default/") == DEFAULT
    assert labels(client, "/own/") == labels(client, "/of-its-own/") == ["Broken"]


@pytest.mark.parametrize("max_age", [0, 60])
def test_register__after_the_first_request(max_age: int, mount: Mount, client: Client, settings: Settings) -> None:
    """What is registered later, or reset, holds from the next request on, for all faces."""
    settings.HEALTH_CHECK = {"MAX_AGE": max_age}
    mount(path("health/", include("health_check.urls")), path("", include("health_check_prometheus.urls")))
    assert labels(client, "/health/") == DEFAULT
    for check, expected in ((Fine, ["Fine"]), (Broken, ["Fine", "Broken"])):
        plugin_dir.register(check)
        assert labels(client, "/health/") == expected
        assert client.get("/health/").status_code == (500 if check is Broken else 200)
    assert set(re.findall(r'_status{check="(\w+)"}', client.get("/metrics").text)) == {"Fine", "Broken"}
    plugin_dir.reset()
    assert (labels(client, "/health/"), client.get("/health/").status_code) == ([], 200)
    [message] = check_former()
    assert message.msg == (
        "These health endpoints have the checks that were registered, none: 'health_check:health_check_home'."
    )
    plugin_dir.register(Fine)
    assert labels(client, "/health/") == ["Fine"]


def test_register__warns() -> None:
    """Registering is deprecated, as is a look at the list; the warning says what to do instead, where that is done."""
    with pytest.warns(DeprecationWarning, match=re.escape("name the check in the `checks`")) as caught:
        plugin_dir.register(Fine)
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=re.escape("name the checks in the `checks`")) as caught:
        assert plugin_dir._registry == ((Fine, {}),)
    assert caught[0].filename == __file__


def test_registry__has_classes() -> None:
    """Who looks at the list finds classes, also of what was registered by its path, and paths that lead nowhere."""
    plugin_dir.register("tests.support.checks.Alias", alias="x")
    plugin_dir.register("no.such.Check")
    assert plugin_dir._registry == ((Alias, {"alias": "x"}), ("no.such.Check", {}))


def test_register__twice() -> None:
    """The same check with the same options is there once."""
    for alias in ("one", "two", "one"):
        plugin_dir.register(Alias, alias=alias)
    assert plugin_dir.entries == [(Alias, {"alias": "one"}), (Alias, {"alias": "two"})]


def test_w014__registered_check(mount: Mount) -> None:
    """A registered check is told of, and which endpoints have it and would have what in its place."""
    mount(path("health/", include("health_check.urls")), path("own/", HealthCheckView.as_view(checks=[])))
    assert check_former() == []
    plugin_dir.register(Fine)
    plugin_dir.register("health_check.Database")
    messages = check_former()
    assert ids(messages) == ["health_check.W014"] * 3
    assert messages[0].msg.startswith("tests.support.checks.Fine is added with plugin_dir.register()")
    assert messages[2].msg.endswith("that were registered, Fine, Database: 'health_check:health_check_home'.")
    hint = str(messages[2].hint)
    assert 'HealthCheckView.as_view(checks=["tests.support.checks.Fine", "health_check.Database"]).' in hint
    assert "which lack Fine, and add Cache, Disk, Mail, Memory, Storage." in hint
