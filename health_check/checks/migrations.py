"""The check of a database's migrations."""

from __future__ import annotations

import dataclasses

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor
from django.utils.connection import ConnectionDoesNotExist

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.labels import ConciseRepr

MOST_NAMED = 3
"""How many of the migrations to name."""


@dataclasses.dataclass(repr=False)
class Migrations(ConciseRepr, HealthCheck):
    """Warn of migrations that are not applied.

    Verifies that the database has all migrations of the code that runs, as after a deployment that forgot them. Reads
    the table of migrations. That costs the database a connection and a query a run, by default once a minute, and this
    process the import of all migrations.

    Args:
        alias: The database, as in ``DATABASES``; default ``"default"``.
    """

    max_age = 60

    alias: str = "default"

    def check_status(self) -> None:
        try:
            executor = MigrationExecutor(connections[self.alias])
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except ConnectionDoesNotExist as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not in DATABASES") from error
        except ImproperlyConfigured as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not configured properly, see the log") from error
        except (Error, MigrationSchemaMissing) as error:
            raise ServiceUnavailable(f"cannot read the migrations ({type(error).__name__})") from error
        if plan:
            names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise ServiceWarning(f"not applied: {', '.join(names[:MOST_NAMED])}{more}")
