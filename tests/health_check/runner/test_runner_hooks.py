"""Code of a check's that runs when the check does not: constructors, destructors, texts of exceptions."""

from __future__ import annotations

import gc
import itertools
import threading
import time

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import SECONDS, SharedStore, Worker, defined, eventually
from tests.support.checks import Fine
from tests.support.client import Lag

CONSTRUCTION_SECONDS = 1.0
"""How long constructors may take in these tests."""


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 32}


@pytest.mark.parametrize("method", ["__init__", "__repr__"])
def test_constructors__that_hang__are_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, mount: Mount, client: Client, gate: threading.Event, method: str, lag: Lag
) -> None:
    """However many endpoints have a check whose constructor hangs, all endpoints answer when its time is up."""
    monkeypatch.setattr("health_check.registry.catalogue.CONSTRUCTION_SECONDS", CONSTRUCTION_SECONDS)

    def hang(*_: object) -> None:
        gate.wait(SECONDS)

    hanging = type("Hanging", (Fine,), {method: hang})
    mount(
        *(path(f"{i}/", HealthCheckView.as_view(checks=[Fine, hanging]), name=f"with {i}") for i in range(5)),
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
    )
    start = time.monotonic()
    assert client.get("/live/", {"format": "json"}).status_code == 200
    assert time.monotonic() - start < 3 * CONSTRUCTION_SECONDS + lag.slack
    assert client.get("/0/", {"format": "json"}).json()["Fine"] == "OK"
    assert runtime.get().prepared


def test_copies__for_a_page__are_no_business_of_the_destructor(
    mount_checks: Mount, client: Client, settings: Settings
) -> None:
    """Instances that no constructor has made are not destroyed: that might close what they do not own, or hang."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 32}  # so that every page is rendered anew
    made, destroyed = itertools.count(), itertools.count()

    class Owning(Fine):
        def __init__(self) -> None:
            super().__init__()
            next(made)

        def __del__(self) -> None:
            next(destroyed)

    mount_checks(Owning)
    for _ in range(10):
        assert client.get("/health/", {"format": "html"}).status_code == 200
    gc.collect()
    assert next(destroyed) <= next(made)


class Mapping(HealthCheck, dict[str, str]):
    """Is of a built-in class as well."""

    def check_status(self) -> None:
        """Find nothing wrong."""


class Error(HealthCheck, Exception):
    """Is an exception as well."""

    def check_status(self) -> None:
        """Find nothing wrong."""


@pytest.mark.parametrize("check_class", [Mapping, Error])
@pytest.mark.parametrize("content_type", ["html", "json"])
def test_copies__of_built_in_classes__are_shown(
    mount_checks: Mount, client: Client, check_class: type[HealthCheck], content_type: str
) -> None:
    """The page shows a check that derives from a built-in class, too."""
    mount_checks(check_class)
    assert client.get("/health/", {"format": content_type}).status_code == 200


class Unspeakable(Exception):
    """Takes its time to say what it is."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate

    def __str__(self) -> str:
        self.gate.wait(SECONDS)
        return "at last"


def test_exception__whose_text_hangs__keeps_no_other_check_from_its_record(
    worker: Worker, shelf: SharedStore, gate: threading.Event
) -> None:
    """The thread that works with the store does not wait for the text of an exception, which the log shows."""

    def fail(check: HealthCheck) -> None:
        raise Unspeakable(gate)

    assert worker.read(defined(fail, timeout=0.5)).status == 0
    shelf.calls.clear()
    other = defined(lambda check: None)
    assert worker.read(other).status == 1
    eventually(lambda: worker.read(other).status == 1 and "publish" in shelf.calls)
    assert len(shelf.threads) == 1, "the thread was given up"


def test_comparison__that_fails__tells_checks_apart(mount: Mount, client: Client) -> None:
    """Options that cannot be compared make two checks, and no page fails."""

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    class Tenant(Fine):
        def __init__(self, option: object) -> None:
            super().__init__()

    checks = [(Tenant, {"option": Incomparable(), "name": f"tenant {number}"}) for number in range(2)]
    mount(
        path("a/", HealthCheckView.as_view(checks=checks), name="a"),
        path("b/", HealthCheckView.as_view(checks=checks[:1]), name="b"),
    )
    assert client.get("/a/", {"format": "json"}).json() == {"tenant 0": "OK", "tenant 1": "OK"}
    assert client.get("/b/", {"format": "json"}).json() == {"tenant 0": "OK"}
    eventually(lambda: runtime.get().prepared)
