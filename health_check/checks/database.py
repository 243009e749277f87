"""The check of a database."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from health_check.checks.clients import ServiceCheck
from health_check.concurrency.connections import unpooled
from health_check.conf import seconds
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

TIMEOUTS = {
    "postgresql": ("connect_timeout",),
    "mysql": ("connect_timeout", "read_timeout", "write_timeout"),
    "sqlite": ("timeout",),
}
"""The options of each vendor's client that end its waiting, SQLite's that for a lock, in whole seconds."""


@dataclasses.dataclass(repr=False)
class Database(ServiceCheck):
    """Check that a database answers.

    Verifies that a connection can be made and that ``SELECT 1`` returns 1. Reads and writes no table, so the
    user needs no rights. That costs the database a connection and a query a run. The check makes a connection of
    its own: those in the site's pool may all be in use, or be broken since a restart of the server.

    Args:
        alias: The database, as in ``DATABASES``; default ``"default"``.
    """

    alias: str = "default"

    def check_status(self) -> None:
        try:
            connection = connections[self.alias]
            if connection.connection is None or not self._answers_in_use(connection):
                connection = unpooled(connection)
                with _of_its_own(connection, self.client_timeout()):
                    connection.ensure_connection()
                    self._ask(connection)
        except ImproperlyConfigured as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not configured properly, see the log") from error
        except ConnectionDoesNotExist as error:
            raise ServiceUnavailable(f"the database {self.alias!r} is not in DATABASES") from error
        except Error as error:
            raise ServiceUnavailable(f"cannot connect to the database ({_name(error)})") from error

    def _answers_in_use(self, connection: BaseDatabaseWrapper) -> bool:
        """Ask on the connection that this thread uses, as in a test; return False if it has to be opened again."""
        try:
            self._ask(connection)
        except ServiceUnavailable:
            if connection.in_atomic_block or not connection.autocommit:
                raise
            _close(connection)  # the server may have been restarted since
            return False
        return True

    def _ask(self, connection: BaseDatabaseWrapper) -> None:
        query = "SELECT 1 FROM DUAL" if connection.vendor == "oracle" else "SELECT 1"
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                row = cursor.fetchone()
        except Error as error:
            raise ServiceUnavailable(f"the database did not answer ({_name(error)})") from error
        if tuple(row or ()) != (1,):
            raise ServiceReturnedUnexpectedResult(f"the database answered {query} with something else than 1")


@contextlib.contextmanager
def _of_its_own(connection: BaseDatabaseWrapper, timeout: float) -> Iterator[None]:
    """Have this thread connect past any pool, within some seconds, and close the connection afterwards."""
    settings = connection.settings_dict
    options = dict(settings["OPTIONS"])
    for name in TIMEOUTS.get(connection.vendor, ()):
        configured = seconds(options.get(name)) or timeout
        options[name] = max(1, int(min(configured, timeout)))
    connection.settings_dict = {**settings, "OPTIONS": options}
    try:
        yield
    finally:
        _close(connection)
        connection.settings_dict = settings


def _close(connection: BaseDatabaseWrapper) -> None:
    with contextlib.suppress(Error):
        connection.close()


def _name(error: Error) -> str:
    """Return what the driver calls an error: its text may name hosts and users."""
    return type(error.__cause__ or error).__name__
