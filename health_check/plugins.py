"""The plugins: a request's own check instances, filled from their records, for views that customise."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any

from health_check.backends import HealthCheck
from health_check.endpoints import DEFAULT_CHECKS, EndpointOptions
from health_check.reports import Report, Row


class Plugins(list[HealthCheck]):
    """Check instances; iterates over them, and offers them by label like a dict."""

    def __init__(self, report: Report) -> None:
        self.by_label: dict[str, HealthCheck] = {row.reading.label: filled(row) for row in report.rows}
        super().__init__(self.by_label.values())

    def items(self) -> ItemsView[str, HealthCheck]:
        """Return pairs of label and instance."""
        return self.by_label.items()

    def keys(self) -> KeysView[str]:
        """Return the labels."""
        return self.by_label.keys()

    def values(self) -> ValuesView[HealthCheck]:
        """Return the instances."""
        return self.by_label.values()


def filled(row: Row) -> HealthCheck:
    """Return an instance that says what the record of its check says."""
    reading = row.reading
    check = reading.definition.copy()
    state = {
        "errors": [message.as_exception() for message in reading.messages],
        "time_taken": reading.time_taken or 0.0,
        "critical_service": row.critical,
    }
    for name, value in state.items():
        with contextlib.suppress(Exception):  # a property of the user's, say, that cannot be set
            setattr(check, name, value)
    return check


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
