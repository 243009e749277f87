"""The check of a database."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from health_check import Database
from health_check.checks.migrations import Migrations
from tests.support.checks import messages_of

SQLITE = "django.db.backends.sqlite3"


@pytest.mark.django_db
def test_check__ok() -> None:
    """A database that answers is in order; it is asked once, and no table of it."""
    with CaptureQueriesContext(connection) as queries:
        assert messages_of(Database()) == []
    assert [query["sql"] for query in queries.captured_queries] == ["SELECT 1"]


def test_check__cannot_connect(add_database: Callable[..., None]) -> None:
    """A database that cannot be opened is unavailable; the driver's words, with paths and hosts, are not shown."""
    add_database("replica", ENGINE=SQLITE, NAME="/nonexistent/folder/file.sqlite3")
    for kind in (Database, Migrations):
        assert messages_of(kind("replica")) == ["unavailable: cannot connect to the database (OperationalError)"]


@pytest.mark.parametrize(
    "configuration", [{"ENGINE": "no.such.engine", "NAME": "x"}, {"ENGINE": SQLITE, "NAME": ""}, {}]
)
def test_check__configured_wrongly(add_database: Callable[..., None], configuration: dict[str, str]) -> None:
    """An alias whose configuration cannot be used gives an error that names it."""
    add_database("replica", **configuration)
    assert messages_of(Database("replica")) == [
        "unavailable: the database 'replica' is not configured properly, see the log"
    ]


def test_check__answers_with_something_else(add_database: Callable[..., None], tmp_path: pathlib.Path) -> None:
    """An answer other than 1 is an unexpected result."""
    add_database("odd", ENGINE=SQLITE, NAME=tmp_path / "odd.sqlite3")
    odd = connections["odd"]
    odd.ensure_connection()
    odd.connection.row_factory = lambda cursor, row: (2,)
    [error] = messages_of(Database(alias="odd"))
    assert error.startswith("unexpected result: ")
