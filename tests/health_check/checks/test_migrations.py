"""The check of a database's migrations."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from health_check.checks.migrations import Migrations
from health_check.registry.definitions import label_of

SQLITE = "django.db.backends.sqlite3"

UNFITTING = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("contenttypes", "0009_missing")]
"""
"""A migration that depends on one that is not there."""

AddDatabase = Callable[..., None]


@pytest.fixture
def check(add_database: AddDatabase, settings: Settings, tmp_path: pathlib.Path) -> Migrations:
    """A check of an empty database, of a site with two migrations."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    add_database("shop", ENGINE=SQLITE, NAME=tmp_path / "shop.sqlite3")
    return Migrations("shop")


def errors_of(check: Migrations) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


def test_check__until_all_are_applied(check: Migrations) -> None:
    """Those that are missing are named in a warning, and no table is made for that."""
    first, second = "contenttypes.0001_initial", "contenttypes.0002_remove_content_type_name"
    assert errors_of(check) == [f"warning: not applied: {first}, {second}"]
    assert connections["shop"].introspection.table_names() == []
    call_command("migrate", "contenttypes", "0001", database="shop", verbosity=0)
    assert errors_of(check) == [f"warning: not applied: {second}"]
    call_command("migrate", database="shop", verbosity=0)
    assert errors_of(check) == []


def test_check__many(check: Migrations, settings: Settings) -> None:
    """Of many, some are named, and the others counted."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.auth"]
    [warning] = errors_of(check)
    assert warning.startswith("warning: not applied: ")
    assert warning.count("_") > 2
    assert warning.endswith(" more")


@pytest.mark.django_db
def test_check__on_the_connection_in_use() -> None:
    """Where this thread works with a connection, as in a test, that is used, and stays open."""
    connection.ensure_connection()
    assert errors_of(Migrations()) == []
    assert connection.connection is not None


def test_check__that_do_not_fit_together(
    check: Migrations, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Migrations of which one is missing are told as such."""
    folder = tmp_path / "unfitting_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_initial.py").write_text(UNFITTING)
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"contenttypes": folder.name}
    assert errors_of(check) == ["unavailable: the migrations are inconsistent (NodeNotFoundError)"]


def test_check__table_that_cannot_be_read(check: Migrations) -> None:
    """A table of migrations that is not one is told as such."""
    with connections["shop"].cursor() as cursor:
        cursor.execute("CREATE TABLE django_migrations (id integer)")
    assert errors_of(check) == ["unavailable: cannot read which migrations are applied (OperationalError)"]


def test_check__cannot_connect(add_database: AddDatabase) -> None:
    """A database that cannot be opened is unavailable; the driver's words are not shown."""
    add_database("replica", ENGINE=SQLITE, NAME="/nonexistent/folder/file.sqlite3")
    assert errors_of(Migrations("replica")) == ["unavailable: cannot connect to the database (OperationalError)"]


def test_check__no_such_alias() -> None:
    """An alias that is missing gives an error that names it."""
    assert errors_of(Migrations("nowhere")) == ["unavailable: the database 'nowhere' is not in DATABASES"]


@pytest.mark.parametrize(
    ("check", "label"), [(Migrations(), "Migrations"), (Migrations("replica"), "Migrations(alias='replica')")]
)
def test_label__alias_alone(check: Migrations, label: str) -> None:
    """The label has the alias where it is not the default."""
    assert label_of(check) == label
