"""A site that is broken in whatever way: ``manage.py check`` goes on to its end, and says what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check import conf
from health_check.backends import HealthCheck
from health_check.conf import KNOWN, LEGACY
from health_check.management.system_checks.settings import check_settings
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Exiting, ExitingAtConstruction, Fine, Unbuildable, Unnameable
from tests.support.messages import ids, view
from tests.support.repetitions import LONG

pytestmark = pytest.mark.filterwarnings("ignore:HEALTH_CHECK:DeprecationWarning")


class Refusing:
    """Can be neither printed nor compared nor copied."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __deepcopy__(self, memo: object) -> object:
        raise ZeroDivisionError

    __copy__ = __reduce__ = __repr__


ODD: list[object] = [
    Refusing(),
    [Refusing()],
    {"x": Refusing()},
    None,
    True,
    -1,
    float("nan"),
    "x",
    "",
    [],
    {},
    {"x": 1},
    {1: 2},
    object(),
    b"x",
    Fine,
    [[]],
]
"""Values that stand where others are meant."""


def odd_for(key: str) -> list[object]:
    """Return what stands in a setting: a third of the values, others for others, or all under ``make test-long``."""
    return ODD if LONG else ODD[len(key) % 3 :: 3]


class Property(HealthCheck):
    """Has policies that raise."""

    @property
    def max_age(self) -> float:
        raise ZeroDivisionError

    @property
    def timeout(self) -> float:
        raise ZeroDivisionError

    @property
    def scope(self) -> str:
        raise ZeroDivisionError

    def check_status(self) -> None:
        """Find nothing wrong."""


class Failing(HealthCheckView):
    """Cannot say what it checks."""

    def get_plugins(self) -> Iterable[Any]:
        raise ZeroDivisionError("a text that nobody meant for readers")


SLOW = {"check_distributions", "check_shadows"}
CHECKS: list[Any] = [
    check
    for check in registry.get_checks(include_deployment_checks=True)
    if "health_check" in check.tags and getattr(check, "__name__", "") not in SLOW
]
"""All system checks but those that look at what is installed, whatever the site is."""


def messages() -> list[CheckMessage]:
    """Return what they say."""
    return [message for check in CHECKS for message in check()]


def test_setting__of_another_kind(settings: Settings) -> None:
    """Whatever HEALTH_CHECK is, it is an error unless it is a dict."""
    for value in ODD:
        settings.HEALTH_CHECK = value
        is_error = "health_check.E001" in ids(messages())
        assert is_error is not isinstance(value, Mapping), value


@pytest.mark.parametrize("key", [*KNOWN, *LEGACY, "UNKNOWN"])
def test_setting__with_odd_values(key: str, settings: Settings, mount: Mount, client: Client) -> None:
    """Whatever stands in a setting, also what cannot be copied, is an error at most, and said once.

    Pages answer, or say which setting cannot be used.
    """
    mount(path("a/", view(Fine), name="a"), path("live/", view(), name="live"))
    for value in odd_for(key):
        settings.HEALTH_CHECK = {key: value}
        texts = [message.msg for message in messages()]
        assert len(texts) == len(set(texts)), texts
        for url in ("/a/?format=json", "/a/", "/live/"):
            response = client.get(url)
            assert response.status_code == 200 or key in response.content.decode(), response.content


@pytest.mark.parametrize("key", ["DETAILS", "OPEN", "TOKENS", "NETWORKS", "PROXIES"])
def test_access__with_odd_values(key: str, settings: Settings, mount: Mount) -> None:
    """The same holds for what is in ACCESS, and for the arguments of a view."""
    for value in odd_for(key):
        settings.HEALTH_CHECK = {"ACCESS": {key: value}}
        mount(path("a/", view(Fine, **{key.lower(): value}), name="a"))
        assert set(ids(messages())) <= {"health_check.E001", "health_check.W012"}, value
        settings.HEALTH_CHECK = {}
        assert set(ids(messages())) <= {"health_check.E001", "health_check.W012"}, value


def test_check__that_is_broken(mount: Mount) -> None:
    """Whatever stands in ``checks``, it is a warning at most, on readiness and liveness endpoints, too."""
    numbers = {"W017", "W018", "W003", "W010", "W012"}
    mount(path("live/", Failing.as_view(), name="live"))
    assert ids(messages()) == ["health_check.W012"]  # it may need a request
    for check in (Property, Unbuildable, Unnameable, Exiting, ExitingAtConstruction, *ODD):
        mount(
            path("a/", view(check), name="a"),
            path("b/", view(check, readiness=True), name="b"),
            path("c/", view((check, {"name": "10.0.0.7"}), liveness=True), name="c"),
            path("d/", HealthCheckView.as_view(checks=check), name="d"),
        )
        assert set(ids(messages())) <= {f"health_check.{number}" for number in numbers}, check


@pytest.mark.parametrize(
    "urlconf", ["no.such.urls", "", "tests.support.site.broken_urls", "tests.support.checks", "tests"]
)
def test_urlconf__that_is_broken(urlconf: str, settings: Settings) -> None:
    """A URLconf that cannot be used is one error, of whichever setting it is."""
    settings.ROOT_URLCONF = urlconf
    assert ids(messages()) == ["health_check.E001"]
    settings.HEALTH_CHECK = {"URLCONF": urlconf}
    assert ids(messages()) == ["health_check.E001"]


def test_urlconf__none(settings: Settings) -> None:
    """A site that has no URLs, as one of workers may have none, is told so."""
    del settings.ROOT_URLCONF
    assert set(ids(messages())) & {"health_check.E001", "health_check.W011"}


def test_system_check__that_fails(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails all the same says so, with the traceback in the log: ``migrate`` goes on."""

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(conf, "unknown", fail)
    (message,) = check_settings()
    assert (message.id, message.is_serious()) == ("health_check.W000", False)
    assert "check_settings" in message.msg
    assert "ZeroDivisionError" in caplog.text
