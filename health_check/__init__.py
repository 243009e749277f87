"""Run health checks, and tell the outcome once, everywhere."""

from health_check.backends import HealthCheck
from health_check.checks import Cache, Database, Mail, Storage
from health_check.contrib.psutil import Disk, Memory

__version__ = "0.1.0"

__all__ = ["Cache", "Database", "Disk", "HealthCheck", "Mail", "Memory", "Storage", "__version__"]
