"""The checks of a database, against a PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from health_check import Database
from health_check.checks.migrations import Migrations
from health_check.registry.entries import parse
from tests.services.contract import Contract, Service
from tests.support.bench import Bench
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of
from tests.support.client import eventually
from tests.support.databases import PREFIX, database
from tests.support.postgres import DATABASE, PASSWORD, USER, Postgres, postgres_server

pytestmark = pytest.mark.server

AddDatabase = Callable[..., None]

CANNOT = "unavailable: cannot connect to the database (OperationalError)"

SILENT = "unavailable: cannot connect to the database (ConnectionTimeout)"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with few connections."""
    with postgres_server(max_connections="12") as server:
        yield server


@pytest.fixture(params=[Database, Migrations])
def check(
    request: pytest.FixtureRequest, postgres: Postgres, add_database: AddDatabase, settings: Settings
) -> Database:
    """A check of a database with all migrations of the site."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    add_database("shop", **database(postgres, "shop"))
    call_command("migrate", database="shop", verbosity=0)
    connections["shop"].close()
    made: Database = request.param("shop", timeout=BUDGET_SECONDS)
    return made


def await_ok(check: Database) -> None:
    """Wait until a check is in order."""
    eventually(lambda: errors_of(check) == [], what="a database in order")


@pytest.fixture
def service(postgres: Postgres, check: Database) -> Service:
    """PostgreSQL, and the checks of it."""
    return Service(
        server=postgres,
        build=lambda: check,
        silent=re.escape(SILENT),
        gone=re.escape(CANNOT),
        left=lambda: {"sessions": len(postgres.sessions(PREFIX))},
    )


class TestContract(Contract):
    """The checks of a PostgreSQL."""


def test_check__connects_at_each_run(postgres: Postgres, check: Database) -> None:
    """No run is spared the connection, which is what the check is about."""
    await_ok(check)
    before = postgres.sessions_ever()
    for _ in range(RUNS):
        check.run_check()
    eventually(lambda: postgres.sessions_ever() >= before + RUNS, what="a connection a run")


def test_check__wrong_password(postgres: Postgres, check: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A login that is refused is told, and none of its words; the log has these, but no password."""
    caplog.set_level(logging.DEBUG)
    postgres.query(f"ALTER ROLE {USER} PASSWORD 'other'")
    try:
        eventually(lambda: errors_of(check) == [CANNOT], what="a refusal")
        reading = Bench().read(parse((type(check), {"alias": "shop", "timeout": 60})).define())
    finally:
        postgres.query(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
    assert reading.pretty_status == CANNOT
    assert CANNOT in caplog.text
    assert PASSWORD not in caplog.text
    await_ok(check)


def test_check__read_only(postgres: Postgres, check: Database) -> None:
    """A server that may only be read, as a standby, is in order: nothing is written."""
    postgres.query(f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    try:
        refusal = pytest.raises(psycopg.errors.ReadOnlySqlTransaction)
        with postgres.connected(user=USER, database=DATABASE) as connection, refusal:
            connection.execute("CREATE TABLE somewhat ()")
        await_ok(check)
    finally:
        postgres.query(f"ALTER ROLE {USER} RESET default_transaction_read_only")


def test_migrations__read_only_and_not_applied(
    postgres: Postgres, add_database: AddDatabase, settings: Settings
) -> None:
    """Nor is a table made for migrations that are not applied; they are a warning there, too."""
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "health_check"]
    first, second = "contenttypes.0001_initial", "contenttypes.0002_remove_content_type_name"
    postgres.query(f"CREATE DATABASE empty OWNER {USER}")
    postgres.query(f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    try:
        add_database("empty", **database(postgres, "empty", NAME="empty"))
        assert errors_of(Migrations("empty")) == [f"warning: not applied: {first}, {second}"]
    finally:
        postgres.query(f"ALTER ROLE {USER} RESET default_transaction_read_only")
        postgres.query("DROP DATABASE empty WITH (FORCE)")


def test_check__out_of_connections(postgres: Postgres, check: Database) -> None:
    """A server without a connection left for the user is told, until there is one."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(postgres.connected(user=USER, database=DATABASE))
        eventually(lambda: errors_of(check) == [CANNOT], what="a refusal")
    await_ok(check)
