"""The checks of a database, against a MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pymysql  # type: ignore[import-untyped]
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from health_check import Database
from health_check.checks.migrations import Migrations
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.mariadb import DATABASE, USER, MariaDB, mariadb_server, use_pymysql

pytestmark = pytest.mark.server

AddDatabase = Callable[..., None]

CANNOT = "unavailable: cannot connect to the database (OperationalError)"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """A MariaDB."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _driver(monkeypatch: pytest.MonkeyPatch) -> None:
    use_pymysql(monkeypatch)


@pytest.fixture
def check(server: MariaDB, add_database: AddDatabase) -> Database:
    """A check of it."""
    add_database("shop", **server.configuration())
    return Database("shop", timeout=BUDGET_SECONDS)


@pytest.fixture
def migrated(check: Database, settings: Settings) -> Migrations:
    """A check of a database with all migrations of the site."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    call_command("migrate", database=check.alias, verbosity=0)
    connections[check.alias].close()
    return Migrations(check.alias, timeout=BUDGET_SECONDS)


def test_check__paused_and_on_again(server: MariaDB, check: Database) -> None:
    """A server that does nothing is told in time, and in order again as soon as it goes on."""
    assert errors_of(check) == []
    server.pause()
    try:
        assert errors_of(check) == [CANNOT]
    finally:
        server.resume()
    assert errors_of(check) == []


def test_check__killed_and_started_again(server: MariaDB, check: Database) -> None:
    """A server that is gone is told, and in order when it is back."""
    server.kill()
    try:
        assert errors_of(check) == [CANNOT]
    finally:
        server.start()
    assert errors_of(check) == []


def test_check__wrong_password(server: MariaDB, add_database: AddDatabase) -> None:
    """A login that is refused is told, and none of its words."""
    add_database("wrong", **server.configuration(PASSWORD="planted-wrong-2c9a"))
    assert errors_of(Database("wrong", timeout=BUDGET_SECONDS)) == [CANNOT]


def test_check__read_only(server: MariaDB, check: Database) -> None:
    """A server that may only be read, as a replica, is in order: nothing is written."""
    server.query("SET GLOBAL read_only = 1")
    try:
        with server.connect() as connection, pytest.raises(pymysql.OperationalError, match="read-only"):
            connection.cursor().execute(f"CREATE TABLE {DATABASE}.somewhat (id integer)")
        assert errors_of(check) == []
    finally:
        server.query("SET GLOBAL read_only = 0")


def test_check__out_of_connections(server: MariaDB, check: Database) -> None:
    """A server without a connection left for the user is told, until there is one."""
    server.query(f"ALTER USER {USER}@'127.0.0.1' WITH MAX_USER_CONNECTIONS 1")
    try:
        with server.connect():
            [error] = errors_of(check)
    finally:
        server.query(f"ALTER USER {USER}@'127.0.0.1' WITH MAX_USER_CONNECTIONS 0")
    assert error == CANNOT
    eventually(lambda: errors_of(check) == [], what="a database in order")


def test_check__leaves_nothing(server: MariaDB, check: Database) -> None:
    """After many runs there is no connection, file or thread that was not there before."""
    assert errors_of(check) == []
    with nothing_left():
        for _ in range(RUNS):
            assert errors_of(check) == []
    eventually(lambda: server.sessions() == 0, what="no connection")


def test_migrations__paused_and_on_again(server: MariaDB, migrated: Migrations) -> None:
    """The check of migrations, too, tells in time that a server does nothing, and is in order when it goes on."""
    assert errors_of(migrated) == []
    server.pause()
    try:
        assert errors_of(migrated) == [CANNOT]
    finally:
        server.resume()
    assert errors_of(migrated) == []


def test_migrations__leave_nothing(server: MariaDB, migrated: Migrations) -> None:
    """Nor do many runs of it leave a connection, file or thread."""
    assert errors_of(migrated) == []
    with nothing_left():
        for _ in range(RUNS):
            migrated.run_check()
    assert errors_of(migrated) == []
    eventually(lambda: server.sessions() == 0, what="no connection")


@pytest.mark.usefixtures("check")
def test_migrations__applied_or_not(server: MariaDB, settings: Settings) -> None:
    """Migrations that are not applied are a warning, and none once they are."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    server.query(f"DROP DATABASE {DATABASE}", f"CREATE DATABASE {DATABASE}")
    assert errors_of(Migrations("shop")) == [
        "warning: not applied: contenttypes.0001_initial, contenttypes.0002_remove_content_type_name"
    ]
    call_command("migrate", database="shop", verbosity=0)
    assert errors_of(Migrations("shop")) == []
