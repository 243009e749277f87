"""The check of a database."""

from __future__ import annotations

import dataclasses

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable
from health_check.labels import ConciseRepr


@dataclasses.dataclass(repr=False)
class Database(ConciseRepr, HealthCheck):
    """Check that a database answers.

    Verifies that a connection can be had and that ``SELECT 1`` returns 1. Reads and writes no table, so the
    user needs no rights. That costs the database a connection and a query a run.

    Args:
        alias: The database, as in ``DATABASES``; default ``"default"``.
    """

    alias: str = "default"

    def check_status(self) -> None:
        connection = self._connection()
        query = "SELECT 1 FROM DUAL" if connection.vendor == "oracle" else "SELECT 1"
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                row = cursor.fetchone()
        except ImproperlyConfigured as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not configured properly, see the log") from error
        except Error as error:
            raise ServiceUnavailable(f"the database did not answer ({type(error).__name__})") from error
        if tuple(row or ()) != (1,):
            raise ServiceReturnedUnexpectedResult(f"the database answered {query} with something else than 1")

    def _connection(self) -> BaseDatabaseWrapper:
        try:
            return connections[self.alias]
        except ImproperlyConfigured as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not configured properly, see the log") from error
        except ConnectionDoesNotExist as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not in DATABASES") from error
