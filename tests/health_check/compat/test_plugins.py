"""The registry of django-health-check 3.x: what is registered is added to the views that state no checks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import include, path

from health_check.compat.plugins import plugin_dir
from health_check.management.system_checks import check_former
from health_check.registry.endpoints import DEFAULT_CHECKS, EndpointOptions
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Fine
from tests.support.messages import ids

pytestmark = pytest.mark.filterwarnings("ignore:plugin_dir.register:DeprecationWarning")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave nothing registered to the next test."""
    yield
    plugin_dir.reset()


def labels(client: Client, place: str) -> list[str]:
    """Return the labels of the checks of an endpoint."""
    return list(client.get(place, {"format": "json"}).json())


def test_register__views_without_checks(mount: Mount, client: Client) -> None:
    """What is registered, with its options, comes after the default checks, where these are looked at."""
    plugin_dir.register(Alias, alias="other")
    plugin_dir.register("tests.support.checks.Fine")
    mount(
        path("health/", include("health_check.urls")),
        path("own/", HealthCheckView.as_view(checks=[Broken])),
    )
    assert labels(client, "/health/")[len(DEFAULT_CHECKS) :] == ["Alias(alias='other')", "Fine"]
    assert labels(client, "/health/live/") == []
    assert labels(client, "/own/") == ["Broken"]


def test_register__warns() -> None:
    """Registering is deprecated; the warning says what to do instead, where that is done."""
    with pytest.warns(DeprecationWarning, match=re.escape("name the check in the `checks`")) as caught:
        plugin_dir.register(Fine)
    assert caught[0].filename == __file__


def test_register__twice() -> None:
    """The same check with the same options is there once."""
    for alias in ("one", "two", "one"):
        plugin_dir.register(Alias, alias=alias)
    assert plugin_dir.added == ((Alias, {"alias": "one"}), (Alias, {"alias": "two"}))


def test_reset__nothing_is_left() -> None:
    """After a reset there are the default checks alone."""
    plugin_dir.register(Fine)
    plugin_dir.reset()
    assert (EndpointOptions.checks, plugin_dir.added) == (DEFAULT_CHECKS, ())


def test_w014__registered_check() -> None:
    """A check that was registered is told of, by its path, until it is named elsewhere."""
    assert check_former() == []
    plugin_dir.register(Fine)
    messages = check_former()
    assert ids(messages) == ["health_check.W014"]
    assert messages[0].msg.startswith("tests.support.checks.Fine is added with plugin_dir.register()")
