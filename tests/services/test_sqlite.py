"""The checks of a database, against SQLite files that somebody else has locked, or that may only be read."""

from __future__ import annotations

import contextlib
import gc
import pathlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from pytest_django import Settings

from health_check import Database
from health_check.checks.migrations import Migrations
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left

AddDatabase = Callable[..., None]

WAITING = {"init_command": "PRAGMA journal_mode=WAL"}
"""Options of a site whose every connection begins with what has to wait for a lock."""

LOCKED = "unavailable: cannot read which migrations are applied (OperationalError)"
CANNOT_CONNECT = "unavailable: cannot connect to the database (OperationalError)"


@pytest.fixture
def file(add_database: AddDatabase, settings: Settings, tmp_path: pathlib.Path) -> pathlib.Path:
    """The file of a database with all migrations of the site; to be used as ``"shop"``."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    file = tmp_path / "planted.sqlite3"
    add_database("shop", **configuration(file))
    call_command("migrate", database="shop", verbosity=0)
    connections["shop"].close()
    return file


def configuration(name: object, **options: Any) -> dict[str, object]:
    """Return what stands for a file in ``DATABASES``."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}


@contextlib.contextmanager
def locked(file: pathlib.Path) -> Iterator[None]:
    """Have another connection keep everybody else from a file."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("kind", [Database, Migrations])
def test_check__read_only(add_database: AddDatabase, file: pathlib.Path, kind: type[Database]) -> None:
    """A file that is opened to be read alone is ok: nothing is written."""
    add_database("reading", **configuration(f"file:{file}?mode=ro"))
    with connections["reading"].cursor() as cursor, pytest.raises(OperationalError, match="readonly"):
        cursor.execute("CREATE TABLE somewhat (id integer)")
    connections["reading"].close()
    assert errors_of(kind("reading", timeout=BUDGET_SECONDS)) == []


def needs_file(file: pathlib.Path) -> bool:
    """Return whether SQLite looks into a locked file for any query, as newer versions (3.53, say) do."""
    with locked(file), contextlib.closing(sqlite3.connect(file, timeout=0)) as other:
        try:
            other.execute("SELECT 1")
        except sqlite3.OperationalError:
            return True
    return False


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize("options", [{}, {"timeout": 0.1}, {"timeout": 60}, WAITING], ids=str)
def test_check__locked(add_database: AddDatabase, file: pathlib.Path, options: dict[str, Any]) -> None:
    """The failure is reported in time, however long the site would wait, unless SQLite answers without the file."""
    needs = options == WAITING or needs_file(file)
    add_database("locked", **configuration(file, **options))
    database, migrations = Database("locked", timeout=BUDGET_SECONDS), Migrations("locked", timeout=BUDGET_SECONDS)
    with locked(file):
        assert errors_of(database) == ([CANNOT_CONNECT] if needs else [])
        assert errors_of(migrations) == ([CANNOT_CONNECT] if needs else [LOCKED])
    assert errors_of(database) + errors_of(migrations) == []
    gc.collect()  # Django does not close a connection whose init_command fails


@pytest.mark.parametrize("kind", [Database, Migrations])
def test_check__leaves_nothing(file: pathlib.Path, kind: type[Database]) -> None:
    """After many runs there is no file beside the database's, open file or thread that was not there before."""
    check = kind("shop")
    assert errors_of(check) == []
    with nothing_left():
        for _ in range(RUNS):
            check.run_check()
    assert list(file.parent.iterdir()) == [file]
