"""The checks of a database, against a PostgreSQL and a MariaDB."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pymysql  # type: ignore[import-untyped]
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from health_check import Database
from health_check.checks.migrations import Migrations
from health_check.registry.entries import parse
from tests.services.contract import Contract, Service
from tests.support import mariadb, postgres
from tests.support.bench import Bench
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.client import eventually
from tests.support.databases import PREFIX, database
from tests.support.mariadb import MariaDB, mariadb_server, use_pymysql
from tests.support.postgres import Postgres, postgres_server
from tests.support.repetitions import long

pytestmark = pytest.mark.server

AddDatabase = Callable[..., None]

CANNOT = "unavailable: cannot connect to the database (OperationalError)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of database, and how its server is made to misbehave."""

    server: Postgres | MariaDB
    """The server, which takes few connections."""
    configuration: Callable[..., dict[str, object]]
    """Returns what stands for it in ``DATABASES``."""
    connected: Callable[[], contextlib.AbstractContextManager[Any]]
    """Opens a connection of the user's, of the test's own."""
    password: Callable[[str], str]
    """Returns SQL that gives the user a password."""
    read_only: tuple[str, str]
    """SQL after which nothing may be written, and what undoes that."""
    silent: str
    """What is said while the server does nothing."""
    sessions: Callable[[], int]
    """Returns how many connections the site has."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Kind]:
    """A PostgreSQL."""
    with postgres_server(max_connections="12") as server:
        role = f"ALTER ROLE {postgres.USER}"
        yield Kind(
            server=server,
            configuration=lambda **more: database(server, "shop", **more),
            connected=lambda: server.connected(user=postgres.USER, database=postgres.DATABASE),
            password=lambda password: f"{role} PASSWORD '{password}'",
            read_only=(f"{role} SET default_transaction_read_only = on", f"{role} RESET default_transaction_read_only"),
            silent="unavailable: cannot connect to the database (ConnectionTimeout)",
            sessions=lambda: len(server.sessions(PREFIX)),
        )


@pytest.fixture(scope="module")
def mysql() -> Iterator[Kind]:
    """A MariaDB."""
    with mariadb_server() as server:
        user = f"{mariadb.USER}@'127.0.0.1'"
        server.query(f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 12")
        yield Kind(
            server=server,
            configuration=server.configuration,
            connected=server.connect,
            password=lambda password: f"ALTER USER {user} IDENTIFIED BY '{password}'",
            read_only=("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
            silent=CANNOT,
            sessions=server.sessions,
        )


@pytest.fixture(params=["postgresql", "mysql"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Kind:
    """A server of each kind, of a site with two migrations."""
    use_pymysql(monkeypatch)
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    kind: Kind = request.getfixturevalue(request.param)
    return kind


@pytest.fixture(params=[Database, long(Migrations)])
def check(request: pytest.FixtureRequest, kind: Kind, add_database: AddDatabase) -> Database:
    """A check of a database with all migrations of the site."""
    add_database("shop", **kind.configuration())
    call_command("migrate", database="shop", verbosity=0)
    connections["shop"].close()
    made: Database = request.param("shop", timeout=BUDGET_SECONDS)
    return made


def await_ok(check: Database) -> None:
    """Wait until a check is in order."""
    eventually(lambda: errors_of(check) == [], what="a database in order")


@pytest.fixture
def service(kind: Kind, check: Database) -> Service:
    """A database server, and the checks of it."""
    return Service(
        server=kind.server,
        build=lambda: check,
        silent=re.escape(kind.silent),
        gone=re.escape(CANNOT),
        left=lambda: {"sessions": kind.sessions()},
    )


class TestContract(Contract):
    """The checks of a database."""


def test_check__wrong_password(kind: Kind, check: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A login that is refused is told, and none of its words; the log has these, but no password."""
    caplog.set_level(logging.DEBUG)
    kind.server.query(kind.password("other"))
    try:
        eventually(lambda: errors_of(check) == [CANNOT], what="a refusal")
        reading = Bench().read(parse((type(check), {"alias": "shop", "timeout": 60})).define())
    finally:
        kind.server.query(kind.password(postgres.PASSWORD))
    assert reading.pretty_status == CANNOT
    assert CANNOT in caplog.text
    assert postgres.PASSWORD not in caplog.text
    await_ok(check)


def test_check__read_only(kind: Kind, check: Database) -> None:
    """A server that may only be read, as a standby, is in order: nothing is written."""
    prohibit, undo = kind.read_only
    kind.server.query(prohibit)
    try:
        with kind.connected() as connection, pytest.raises((psycopg.Error, pymysql.Error), match="read-only"):
            connection.cursor().execute("CREATE TABLE shop.somewhat (id integer)")
        await_ok(check)
    finally:
        kind.server.query(undo)


def test_check__out_of_connections(kind: Kind, check: Database) -> None:
    """A server without a connection left for the user is told, until there is one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError, pymysql.OperationalError):
            while True:
                stack.enter_context(kind.connected())
        eventually(lambda: errors_of(check) == [CANNOT], what="a refusal")
    await_ok(check)


def test_migrations__applied_or_not(kind: Kind, add_database: AddDatabase) -> None:
    """Migrations that are not applied are a warning, also where no table may be made for them, until they are."""
    add_database("shop", **kind.configuration())
    with connections["shop"].cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS django_migrations, django_content_type")
    connections["shop"].close()
    prohibit, undo = kind.read_only
    kind.server.query(prohibit)
    try:
        first, second = "contenttypes.0001_initial", "contenttypes.0002_remove_content_type_name"
        assert errors_of(Migrations("shop")) == [f"warning: not applied: {first}, {second}"]
    finally:
        kind.server.query(undo)
    call_command("migrate", database="shop", verbosity=0)
    assert errors_of(Migrations("shop")) == []
