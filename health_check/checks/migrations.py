"""The check of a database's migrations."""

from __future__ import annotations

import dataclasses

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    MigrationSchemaMissing,
    NodeNotFoundError,
)
from django.db.migrations.executor import MigrationExecutor

from health_check.checks.database import Database
from health_check.exceptions import ServiceUnavailable, ServiceWarning

MOST_NAMED = 3
"""How many of the migrations to name."""

UNUSABLE = (BadMigrationError, CircularDependencyError, NodeNotFoundError)
"""What is wrong with migrations that do not fit together."""


@dataclasses.dataclass(repr=False)
class Migrations(Database):
    """Warn of migrations that are not applied.

    Verifies that the database has all migrations of the code that runs. It has not after a deployment without
    ``migrate``. Reads the table of migrations. That costs the database a connection and two queries a run, by default
    once a minute, and this process the import of all migrations.
    """

    max_age = 60

    def _ask(self, connection: BaseDatabaseWrapper) -> None:
        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except (Error, MigrationSchemaMissing) as error:
            raise ServiceUnavailable(f"cannot read which migrations are applied ({type(error).__name__})") from error
        except UNUSABLE as error:
            raise ServiceUnavailable(f"the migrations are inconsistent ({type(error).__name__})") from error
        if plan:
            names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            raise ServiceWarning(f"not applied: {', '.join(names[:MOST_NAMED])}{more}")
