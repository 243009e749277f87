"""The view of ``health_check.urls``: it looks at what was registered, as in django-health-check 3.x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from health_check.registry.endpoints import DEFAULT_CHECKS
from health_check.registry.plugins import plugin_dir
from health_check.views.health import HealthCheckView


class _Registered:
    """The checks that apps of 3.x and ``plugin_dir.register`` have registered; without any, the default ones."""

    def __get__(self, instance: object, owner: type) -> Sequence[Any]:
        return plugin_dir.entries or DEFAULT_CHECKS


class RegisteredView(HealthCheckView):
    """Answer for the checks that were registered, as in django-health-check 3.x; without any, for the default ones."""

    checks: ClassVar[Sequence[Any]] = _Registered()  # type: ignore[assignment]
