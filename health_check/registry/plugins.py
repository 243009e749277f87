"""The registry of django-health-check 3.x: checks that are registered in code, for the views that go by it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from health_check.backends import HealthCheck


class AlreadyRegistered(Exception):
    """Was for a check that is registered twice; never raised."""


class NotRegistered(Exception):
    """Was for a check that is not registered; never raised."""


def _class_of(plugin: type[HealthCheck] | str) -> Any:
    """Return the class of a path, as those expect who look at the list; the path where it cannot be imported."""
    try:
        return import_string(plugin) if isinstance(plugin, str) else plugin
    except ImportError:
        return plugin


class PluginDirectory:
    """What django-health-check 3.x calls its registry."""

    def __init__(self) -> None:
        self.entries: list[Any] | None = None
        """What was registered, as items of ``checks``; another list after every change.

        None while the site has never used the registry: then the views that go by it have the default checks.
        """

    @property
    def _registry(self) -> tuple[Any, ...]:
        warnings.warn(
            "plugin_dir._registry is deprecated: name the checks in the `checks` of a HealthCheckView.",
            DeprecationWarning,
            stacklevel=2,
        )
        return tuple((_class_of(plugin), options) for plugin, options in self.entries or ())

    def register(self, plugin: type[HealthCheck] | str, **options: Any) -> None:
        """Register a check; deprecated.

        Args:
            plugin: The check's class, or its dotted path.
            options: Its options.
        """
        warnings.warn(
            "plugin_dir.register() is deprecated: name the check in the `checks` of a HealthCheckView.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.add(plugin, options)

    def add(self, plugin: type[HealthCheck] | str, options: Mapping[str, Any]) -> None:
        """Register a check, unless it is there."""
        before = self.entries or []
        if (plugin, options) not in before:
            self.entries = [*before, (plugin, options)]

    def reset(self) -> None:
        """Take out all that were registered: the views that go by it then have no checks, as in 3.x."""
        self.entries = []


plugin_dir = PluginDirectory()
"""The only one."""
