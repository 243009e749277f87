"""The checks of what Django itself leans on."""

import importlib
from typing import Any

from health_check.checks.cache import Cache
from health_check.checks.database import Database
from health_check.checks.mail import Mail
from health_check.checks.migrations import Migrations
from health_check.checks.storage import Storage

__all__ = ["Cache", "Database", "Mail", "Migrations", "Storage"]


def __getattr__(name: str) -> Any:
    """Import the check that is elsewhere, but was here in django-health-check 4.x."""
    if name != "DNS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("health_check.contrib.dns").DNS
