"""Run health checks, and tell the outcome once, everywhere."""

from typing import TYPE_CHECKING, Any

from health_check.backends import HealthCheck
from health_check.checks import Cache, Database, Mail, Migrations, Storage
from health_check.compat import finder
from health_check.contrib.psutil import Disk, Memory

__version__ = "0.1.0"

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

finder.install()

if TYPE_CHECKING:
    from health_check.contrib.dns import DNS
else:

    def __getattr__(name: str) -> Any:
        """Import the check that needs a package of its own where it is asked for."""
        if name != "DNS":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from health_check.contrib.dns import DNS

        return DNS
