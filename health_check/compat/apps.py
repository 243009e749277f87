"""The Django apps of django-health-check 3.x: they do what they did, and ask to be taken out."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

from django.apps import AppConfig, apps
from django.conf import settings

from health_check.compat import names

SWITCHES = {"health_check.Disk": "DISK_USAGE_MAX", "health_check.Memory": "MEMORY_MIN"}
"""The settings that, being None, had the app of psutil register no check."""


class FormerConfig(AppConfig):
    """Register the checks that the app registered, and our system checks, where it alone is installed."""

    path = str(pathlib.Path(__file__).parent / "nothing")  # no templates, no commands
    registers: ClassVar[tuple[str, ...]] = ()

    def ready(self) -> None:
        from health_check.registry.plugins import plugin_dir

        import_module("health_check.management.system_checks")  # by name: that room looks at this one
        warnings.warn(f"{problem_of(self)} {remedy_of(self)}", DeprecationWarning, stacklevel=2)
        plugin_dir.entries = plugin_dir.entries or []  # also where the app registers nothing, as it is set up
        for path, options in self.entries():
            plugin_dir.add(path, options)

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the checks to add, with their options."""
        configured = getattr(settings, "HEALTH_CHECK", None)
        limits = configured if isinstance(configured, Mapping) else {}
        for path in self.registers:
            if path == "health_check.Cache":
                prefix = getattr(settings, "HEALTHCHECK_CACHE_KEY", None)
                own = {} if prefix is None else {"key_prefix": prefix}
                yield from ((path, {"alias": alias, **own}) for alias in settings.CACHES)
            elif limits.get(SWITCHES.get(path), 0) is not None:
                yield path, {}


def config_of(app: str) -> type[AppConfig]:
    """Return the configuration of an app of 3.x."""
    return type("HealthCheckConfig", (FormerConfig,), {"name": app, "registers": names.APPS[app]})


def installed() -> list[FormerConfig]:
    """Return the apps of 3.x in ``INSTALLED_APPS``."""
    return [config for config in apps.get_app_configs() if isinstance(config, FormerConfig)]


def problem_of(config: FormerConfig) -> str:
    """Say what is wrong with an app of 3.x."""
    return f"{config.name} in INSTALLED_APPS is an app of django-health-check 3.x."


def remedy_of(config: FormerConfig) -> str:
    """Say what to do about it."""
    named = sorted({names.CHECKS[old] for old in names.CHECKS if old.startswith(f"{config.name}.")})
    return f"Take it out, and name {' or '.join(named)} in the `checks` of a HealthCheckView that is to have it."
