"""The view of ``health_check.urls``: it looks at what was registered, as in django-health-check 3.x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.db import connections

from health_check.checks.database import Database
from health_check.registry.endpoints import DEFAULT_CHECKS
from health_check.registry.entries import check_class_of
from health_check.registry.plugins import plugin_dir
from health_check.views.health import HealthCheckView


class _Found:
    """Checks that are found out whenever they are asked for, and are the same for all requests."""

    def __init__(self, find: Callable[[], Sequence[Any]]) -> None:
        self._find = find

    def __get__(self, instance: object, owner: type) -> Sequence[Any]:
        return self._find()


def _registered() -> Sequence[Any]:
    """Return what was registered; the default checks where neither apps of 3.x nor ``plugin_dir`` are used."""
    return DEFAULT_CHECKS if plugin_dir.entries is None else plugin_dir.entries


def _databases() -> Sequence[Any]:
    """Return the checks of databases among those; none on a site without a database."""
    if connections.settings["default"]["ENGINE"] == "django.db.backends.dummy":
        return []
    found = ((entry, check_class_of(entry)) for entry in _registered())
    return [entry for entry, check_class in found if check_class and issubclass(check_class, Database)]


class RegisteredView(HealthCheckView):
    """Answer for the checks that were registered, as in django-health-check 3.x; without any, for the default ones."""

    checks: ClassVar[Sequence[Any]] = _Found(_registered)  # type: ignore[assignment]


class ReadinessView(HealthCheckView):
    """Show load balancers whether to send requests: 200 while the database answers, and the host is not drained."""

    readiness: ClassVar[bool | None] = True
    warnings_as_errors: ClassVar[bool | None] = False
    error_status_code: ClassVar[int] = 503
    checks: ClassVar[Sequence[Any]] = _Found(_databases)  # type: ignore[assignment]
