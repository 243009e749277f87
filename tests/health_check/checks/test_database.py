"""The check of a database."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from health_check import Database
from health_check.exceptions import HealthCheckException
from health_check.registry.definitions import label_of

SQLITE = "django.db.backends.sqlite3"


def errors_of(check: Database) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


@pytest.mark.django_db
def test_check__ok() -> None:
    """A database that answers is in order; it is asked once, and no table of it."""
    with CaptureQueriesContext(connection) as queries:
        assert errors_of(Database()) == []
    assert [query["sql"] for query in queries.captured_queries] == ["SELECT 1"]


def test_check__no_such_alias() -> None:
    """An alias that is missing gives an error that names it."""
    [error] = errors_of(Database(alias="replica"))
    assert error.startswith("unavailable: ")
    assert "'replica'" in error


def test_check__cannot_connect(add_database: Callable[..., None]) -> None:
    """A database that cannot be opened is unavailable; the driver's words, with paths and hosts, are not shown."""
    add_database("replica", ENGINE=SQLITE, NAME="/nonexistent/folder/file.sqlite3")
    [error] = errors_of(Database(alias="replica"))
    assert error.startswith("unavailable: ")
    assert "OperationalError" in error
    assert "nonexistent" not in error


@pytest.mark.parametrize(
    "configuration", [{"ENGINE": "no.such.engine", "NAME": "x"}, {"ENGINE": SQLITE, "NAME": ""}, {}]
)
def test_check__configured_wrongly(add_database: Callable[..., None], configuration: dict[str, str]) -> None:
    """An alias whose configuration cannot be used gives an error that names it."""
    add_database("replica", **configuration)
    check = Database(alias="replica")
    check.run_check()
    [error] = check.errors
    assert isinstance(error, HealthCheckException)
    assert "'replica'" in str(error)


def test_check__answers_with_something_else(add_database: Callable[..., None], tmp_path: pathlib.Path) -> None:
    """An answer other than 1 is an unexpected result."""
    add_database("odd", ENGINE=SQLITE, NAME=tmp_path / "odd.sqlite3")
    odd = connections["odd"]
    odd.ensure_connection()
    odd.connection.row_factory = lambda cursor, row: (2,)
    [error] = errors_of(Database(alias="odd"))
    assert error.startswith("unexpected result: ")


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (Database(), "Database"),
        (Database("default"), "Database"),
        (Database(alias="replica"), "Database(alias='replica')"),
    ],
)
def test_label__alias_alone(check: Database, label: str) -> None:
    """The label has the alias where it is not the default."""
    assert label_of(check) == label
