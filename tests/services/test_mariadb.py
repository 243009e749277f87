"""The checks of a database, against a MariaDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pymysql  # type: ignore[import-untyped]
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from health_check import Database
from health_check.checks.migrations import Migrations
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
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


@pytest.fixture(params=[Database, Migrations])
def service(server: MariaDB, check: Database, settings: Settings, request: pytest.FixtureRequest) -> Service:
    """MariaDB, and the checks of it."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    call_command("migrate", database=check.alias, verbosity=0)
    connections[check.alias].close()
    return Service(
        server=server,
        build=lambda: request.param(check.alias, timeout=BUDGET_SECONDS),
        silent=re.escape(CANNOT),
        gone=re.escape(CANNOT),
        left=lambda: {"sessions": server.sessions()},
    )


class TestContract(Contract):
    """The checks of a MariaDB."""


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
