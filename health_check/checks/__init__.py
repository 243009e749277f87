"""The checks of what Django itself leans on."""

from health_check.checks.cache import Cache
from health_check.checks.database import Database
from health_check.checks.mail import Mail
from health_check.checks.migrations import Migrations
from health_check.checks.storage import Storage

__all__ = ["Cache", "Database", "Mail", "Migrations", "Storage"]
