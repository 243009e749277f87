"""The own tests of a site with a replica, which Django's test runner runs."""

from __future__ import annotations

from django.db import connections
from django.test import TestCase, TransactionTestCase

ALIASES = ("default", "replica")


def backends() -> list[int]:
    """Return the processes of the database server that serve this thread."""
    found: list[int] = []
    for alias in ALIASES:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            found += cursor.fetchone()
    return found


class Shared:
    """What holds in a transaction, and without one."""

    def test_health__is_ok(self) -> None:
        """Both databases are in order, asked on the connections of the test, which stay as they are."""
        before = backends()
        response = self.client.get("/health/?format=json")  # type: ignore[attr-defined]
        assert response.json() == {"Database": "OK", "Database(alias='replica')": "OK"}
        assert backends() == before


class InTransaction(Shared, TestCase):
    """A TestCase, each test in transactions of its own."""

    databases = "__all__"

    def test_checks_that_fail__break_no_transaction(self) -> None:
        """After an error of the database in a check, the test goes on in its transaction."""
        before = backends()
        assert self.client.get("/others/").status_code == 500
        assert backends() == before
        assert all(connections[alias].in_atomic_block for alias in ALIASES)


class Committing(Shared, TransactionTestCase):
    """A TransactionTestCase, which commits."""

    databases = "__all__"
