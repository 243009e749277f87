"""What every test may use."""

from __future__ import annotations

import gc
import itertools
import signal
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.utils import ConnectionHandler
from django.urls import URLPattern, URLResolver, path
from pytest_django import DjangoDbBlocker, Settings

from health_check import logs
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.support.bench import eventually
from tests.support.client import Lag
from tests.support.distribution import LONGEST, Distribution
from tests.support.repetitions import LONG

Pattern = URLPattern | URLResolver
Mount = Callable[..., None]

_numbers = itertools.count()

gc.set_threshold(20_000, 50, 100)  # to look through thousands of collected tests more often takes a sixth of the time


def pytest_configure() -> None:
    """Heed the signals by which tests end servers: a background job's shell ignores them, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only ``make test-long`` runs, and begin with the tests of servers, the longest ones first."""
    left_out = [] if LONG else [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    kept = [item for item in items if item not in left_out]
    items[:] = sorted(kept, key=lambda item: (not any_of(item, LONGEST), item.get_closest_marker("server") is None))


def any_of(item: pytest.Item, names: Iterable[str]) -> bool:
    """Return whether one of some names is in that of a test."""
    return any(name in item.nodeid for name in names)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:
    """Share the tests out among pytest's workers."""
    return Distribution(config, log)


@pytest.fixture(autouse=True)
def _forgotten_process() -> Iterator[None]:
    """Leave no record, thread or catalogue of one test to the next."""
    runtime.reset()
    logs.forget()
    yield
    if runtime.get()._monitor is not None:
        runtime.flush(1.0)  # what is still to be logged is none of the next test's
    runtime.reset()


@pytest.fixture
def lag() -> Iterator[Lag]:
    """How late this machine is during the test, to be added to times that are asserted."""
    lag = Lag()
    with lag.measured():
        yield lag


@pytest.fixture
def mount(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes these URL patterns the site's only ones."""

    def mount_patterns(*patterns: Pattern) -> None:
        name = f"tests.mounted_urls_{next(_numbers)}"
        module = types.ModuleType(name)
        vars(module)["urlpatterns"] = list(patterns)
        monkeypatch.setitem(sys.modules, name, module)
        settings.ROOT_URLCONF = name

    return mount_patterns


@pytest.fixture
def mount_checks(mount: Mount) -> Callable[..., None]:
    """A function that makes an endpoint of these checks, at ``/health/``, and a metrics page the site's only URLs."""

    def mount_endpoint(*checks: object, **options: object) -> None:
        from health_check_prometheus.views import MetricsView

        mount(
            path("health/", HealthCheckView.as_view(checks=list(checks), **options), name="health"),
            path("metrics", MetricsView.as_view(), name="metrics"),
        )

    return mount_endpoint


@pytest.fixture
def add_database(django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that adds a database alias, configured by keywords; the only one that may be used.

    In the end no connection to it is left open, on any thread.
    """
    added: list[str] = []
    made: list[BaseDatabaseWrapper] = []

    def note(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
        made.append(connection)

    def add(alias: str, **configuration: object) -> None:
        handler = ConnectionHandler({"default": {}, alias: configuration})
        monkeypatch.setitem(connections.settings, alias, handler.settings[alias])
        added.append(alias)

    connection_created.connect(note)
    with django_db_blocker.unblock():
        yield add
        connection_created.disconnect(note)
        for connection in connections.all(initialized_only=True):
            if connection.alias in added:
                connection.close()
                del connections[connection.alias]
        eventually(lambda: all(connection.connection is None for connection in made if connection.alias in added))
