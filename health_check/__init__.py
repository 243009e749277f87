"""Run health checks once, and show the outcome everywhere.

Importing this package imports neither Django nor any check: the names below are imported where they are asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from health_check._version import __version__
from health_check.compat import finder

if TYPE_CHECKING:
    from health_check.backends import HealthCheck
    from health_check.checks import Cache, Database, Mail, Migrations, Storage
    from health_check.contrib.dns import DNS
    from health_check.contrib.psutil import Disk, Memory

__all__ = [
    "DNS",
    "Cache",
    "Database",
    "Disk",
    "HealthCheck",
    "Mail",
    "Memory",
    "Migrations",
    "Storage",
    "__version__",
]

_MODULES = {
    "Cache": "health_check.checks",
    "DNS": "health_check.contrib.dns",
    "Database": "health_check.checks",
    "Disk": "health_check.contrib.psutil",
    "HealthCheck": "health_check.backends",
    "Mail": "health_check.checks",
    "Memory": "health_check.contrib.psutil",
    "Migrations": "health_check.checks",
    "Storage": "health_check.checks",
}
"""Where each of these names is."""

finder.install()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
