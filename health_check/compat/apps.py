"""The Django apps of django-health-check 3.x: they do what they did, and ask to be taken out."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

from django.apps import AppConfig, apps
from django.conf import settings

from health_check.compat import names


class FormerConfig(AppConfig):
    """Add the checks that the app registered, where the views that state no checks do not have them anyway."""

    path = str(pathlib.Path(__file__).parent / "nothing")  # no templates, no commands
    registers: ClassVar[tuple[str, ...]] = ()

    def ready(self) -> None:
        from health_check.compat.plugins import plugin_dir

        warnings.warn(f"{problem_of(self)} {remedy_of(self)}", DeprecationWarning, stacklevel=2)
        for path, options in self.entries():
            plugin_dir.add(path, options)

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the checks to add, with their options."""
        for old in self.registers:
            yield names.target(old) or old, {}
        if self.name == "health_check.cache":
            for alias in settings.CACHES:
                if alias != "default":
                    yield "health_check.Cache", {"alias": alias}


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
