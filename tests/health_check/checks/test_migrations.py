"""The check of a database's migrations."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from health_check.checks.migrations import Migrations
from tests.support.checks import messages_of

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


def test_check__until_all_are_applied(check: Migrations) -> None:
    """Those that are missing are named in a warning, and no table is made for that."""
    first, second = "contenttypes.0001_initial", "contenttypes.0002_remove_content_type_name"
    assert messages_of(check) == [f"warning: not applied: {first}, {second}"]
    assert connections["shop"].introspection.table_names() == []
    call_command("migrate", "contenttypes", "0001", database="shop", verbosity=0)
    assert messages_of(check) == [f"warning: not applied: {second}"]
    call_command("migrate", database="shop", verbosity=0)
    assert messages_of(check) == []


def test_check__many(check: Migrations, settings: Settings) -> None:
    """Of many, some are named, and the others counted."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.auth"]
    [warning] = messages_of(check)
    assert warning.startswith("warning: not applied: ")
    assert warning.count("_") > 2
    assert warning.endswith(" more")


@pytest.mark.django_db
def test_check__on_the_connection_in_use() -> None:
    """Where this thread works with a connection, as in a test, that is used, and stays open."""
    connection.ensure_connection()
    assert messages_of(Migrations()) == []
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
    assert messages_of(check) == ["unavailable: the migrations are inconsistent (NodeNotFoundError)"]


def test_check__table_that_cannot_be_read(check: Migrations) -> None:
    """A table of migrations that is not one is told as such."""
    with connections["shop"].cursor() as cursor:
        cursor.execute("CREATE TABLE django_migrations (id integer)")
    assert messages_of(check) == ["unavailable: cannot read which migrations are applied (OperationalError)"]
