"""The registry of django-health-check 3.x: what is added to it, views that state no ``checks`` look at, too."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from health_check.backends import HealthCheck
from health_check.registry.endpoints import DEFAULT_CHECKS, EndpointOptions


class PluginDirectory:
    """What django-health-check 3.x calls its registry: checks to add to the views that state no ``checks``."""

    @property
    def added(self) -> tuple[Any, ...]:
        """The entries that were added."""
        return tuple(EndpointOptions.checks)[len(DEFAULT_CHECKS) :]

    def register(self, plugin: type[HealthCheck] | str, **options: Any) -> None:
        """Add a check; deprecated. To be called before the first request, as in ``AppConfig.ready``.

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
        """Add a check, unless it is there."""
        if (plugin, options) not in self.added:
            EndpointOptions.checks = (*EndpointOptions.checks, (plugin, options))

    def reset(self) -> None:
        """Take out all that were added."""
        EndpointOptions.checks = DEFAULT_CHECKS


plugin_dir = PluginDirectory()
"""The only one."""
