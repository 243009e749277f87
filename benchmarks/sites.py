"""The sites that are measured: in this process, with an SQLite store of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import sys
import types
from collections.abc import Iterator

import django
from django.conf import settings
from django.test import override_settings
from django.urls import path

from health_check.backends import HealthCheck
from health_check.monitor import runtime

_numbers = itertools.count()


@dataclasses.dataclass
class Nothing(HealthCheck):
    """Check nothing."""

    number: int = 0

    def check_status(self) -> None:
        """Find all in order."""

    def __repr__(self) -> str:
        return f"Nothing {self.number}"


@dataclasses.dataclass
class NothingAsync(Nothing):
    """Check nothing, as a coroutine."""

    async def check_status(self) -> None:  # type: ignore[override]
        """Find all in order."""


def configure() -> None:
    """Set up Django as on a server."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["health_check", "health_check_prometheus"],
        ROOT_URLCONF="none",
        SECRET_KEY="benchmark",
        USE_TZ=True,
    )
    django.setup()


@contextlib.contextmanager
def site_of(
    checks: int,
    folder: pathlib.Path | None,
    *,
    check: type[HealthCheck] | None = None,
    max_age: float = 3600.0,
    warm: bool = True,
) -> Iterator[None]:
    """Be a site whose one endpoint, at ``/health/``, has so many checks that do nothing.

    Args:
        checks: How many.
        folder: Where the store is to be; None keeps records in memory.
        check: Their class; default one whose runs do nothing.
        max_age: For how many seconds a result is fresh.
        warm: Whether to run them before.
    """
    from health_check.views import HealthCheckView
    from health_check_prometheus.views import MetricsView

    name = f"benchmark_urls_{next(_numbers)}"
    module = types.ModuleType(name)
    entries = [(check or Nothing, {"number": number} if checks > 1 else {}) for number in range(checks)]
    vars(module)["urlpatterns"] = [
        path("health/", HealthCheckView.as_view(checks=entries), name="health"),
        path("metrics", MetricsView.as_view(), name="metrics"),
    ]
    sys.modules[name] = module
    store: dict[str, object] = {"BACKEND": "health_check.stores.memory.MemoryStore"}
    if folder is not None:
        path_of_store = str(folder / f"{name}.sqlite3")
        store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": path_of_store}}
    with override_settings(ROOT_URLCONF=name, HEALTH_CHECK={"MAX_AGE": max_age, "STORE": store}):
        runtime.reset()
        if warm:
            runtime.read()
        try:
            yield
        finally:
            runtime.reset()
            del sys.modules[name]
