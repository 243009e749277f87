"""The check of a database: what it says, the connections that it makes, and which it leaves alone."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from health_check import Database
from health_check.checks.database import _of_its_own
from health_check.checks.migrations import Migrations
from tests.support.checks import messages_of
from tests.support.small_servers import free_address, silent_address

SQLITE = "django.db.backends.sqlite3"

POSTGRESQL = "django.db.backends.postgresql"

LONG_SECONDS = 10.0
"""After how long an error does not come at once: a pool alone would wait for 30 s."""


@pytest.fixture
def add_shop(add_database: Callable[..., None]) -> Callable[..., None]:
    """A function that adds a PostgreSQL at an address, with these options."""

    def add(address: str, **options: object) -> None:
        host, _, port = address.rpartition(":")
        place = {"HOST": host, "PORT": port, "NAME": "shop", "USER": "planted", "PASSWORD": "planted"}
        add_database("shop", ENGINE=POSTGRESQL, OPTIONS=options, **place)

    return add


@pytest.fixture
def shop(add_database: Callable[..., None], tmp_path: pathlib.Path) -> Any:
    """A database that is there."""
    add_database("shop", ENGINE=SQLITE, NAME=tmp_path / "shop.sqlite3", CONN_MAX_AGE=None)
    return connections["shop"]


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


@pytest.mark.parametrize("options", [{}, {"pool": True}, {"pool": {"min_size": 1, "max_size": 1}}], ids=str)
def test_nobody_listens__is_told_at_once(add_shop: Callable[..., None], options: dict[str, object]) -> None:
    """A server that is down is unavailable at once, also where a pool would wait for it to come back."""
    add_shop(free_address(), **options)
    start = time.monotonic()
    assert messages_of(Database("shop")) == ["unavailable: cannot connect to the database (OperationalError)"]
    assert time.monotonic() - start < LONG_SECONDS


def test_nobody_answers__is_told_in_time(add_shop: Callable[..., None]) -> None:
    """A server that takes connections and says nothing is given up before the deadline of the check."""
    with silent_address() as address:
        add_shop(address)
        start = time.monotonic()
        assert messages_of(Database("shop", timeout=2.5)) == [
            "unavailable: cannot connect to the database (ConnectionTimeout)"
        ]
        assert time.monotonic() - start < LONG_SECONDS


@pytest.mark.parametrize(
    ("options", "seconds", "expected"),
    [
        ({}, 4.0, 4),
        ({}, 4.9, 4),
        ({}, 0.1, 1),
        ({"connect_timeout": 2}, 4.0, 2),
        ({"connect_timeout": 10}, 4.0, 4),
        ({"connect_timeout": 0}, 4.0, 4),
        ({"connect_timeout": "10"}, 4.0, 4),
    ],
)
def test_timeout__is_the_shorter_one(
    add_shop: Callable[..., None], options: dict[str, object], seconds: float, expected: int
) -> None:
    """The client gets its share of the budget, in whole seconds, or what the site gives it if that is less."""
    add_shop("127.0.0.1:5432", **options)
    connection = connections["shop"]
    with _of_its_own(connection, seconds):
        assert connection.get_connection_params()["connect_timeout"] == expected
    assert connection.settings_dict["OPTIONS"] == options
    assert connection.settings_dict is connections.settings["shop"]


@pytest.mark.parametrize(("vendor", "options"), [("sqlite", {"timeout": 4}), ("other", {})])
def test_timeout__of_other_vendors(
    shop: Any, monkeypatch: pytest.MonkeyPatch, vendor: str, options: dict[str, int]
) -> None:
    """SQLite's client is given as long to wait for a lock; one that is not known to have such an option gets none."""
    monkeypatch.setattr(shop, "vendor", vendor)
    with _of_its_own(shop, 4.9):
        assert shop.settings_dict["OPTIONS"] == options


def test_own_connection__is_closed(shop: Any) -> None:
    """Where this thread had no connection, it has none afterwards, though connections are kept."""
    assert messages_of(Database("shop")) == []
    assert shop.connection is None


def test_connection_in_use__is_used_and_kept(shop: Any) -> None:
    """Where this thread has a connection, that is asked and stays open, and so does its transaction."""
    with transaction.atomic(using="shop"):
        before = shop.connection
        assert messages_of(Database("shop")) == []
        assert shop.connection is before
        assert shop.in_atomic_block
    assert messages_of(Database("shop")) == []
    assert shop.connection is before


def test_stale_connection_in_use__is_made_anew(shop: Any) -> None:
    """A connection that was good once does not make the database bad."""
    shop.ensure_connection()
    shop.connection.close()
    assert messages_of(Database("shop")) == []


def test_stale_connection_in_a_transaction__is_left_alone(shop: Any) -> None:
    """In a transaction nothing is done behind its back: it is over, and so says the check."""
    transaction.set_autocommit(False, using="shop")
    before = shop.connection
    before.close()
    assert messages_of(Database("shop")) == ["unavailable: the database did not answer (ProgrammingError)"]
    assert shop.connection is before
