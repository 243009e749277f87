"""Database connections that the threads of the health checks open: all are closed, and left as they were found."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.records import State
from health_check.signals import check_finished
from health_check.stores import Query, StoreEntry
from tests.support.bench import Bench, MovableClock, SharedStore, Worker, defined, eventually

ALIAS = "shop"


@pytest.fixture(autouse=True)
def _shop(add_database: Callable[..., None], tmp_path: pathlib.Path) -> None:
    """A database."""
    add_database(ALIAS, ENGINE="django.db.backends.sqlite3", NAME=tmp_path / "shop.sqlite3")


@pytest.fixture(autouse=True)
def _one_thread(settings: Settings) -> None:
    """Run all checks on threads, one after the other."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 1}


def execute(statement: str) -> None:
    """Use the database."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(statement)


def opened() -> BaseDatabaseWrapper:
    """Return this thread's connection, which it has from now on at the latest."""
    connections[ALIAS].ensure_connection()
    return connections[ALIAS]


def test_left_transaction__is_no_matter_of_later_runs(bench: Bench) -> None:
    """A transaction that a check began and never ended is gone when its thread runs something else, or the same."""
    threads: set[int] = set()

    def leave(check: HealthCheck) -> None:
        threads.add(threading.get_ident())
        transaction.atomic(using=ALIAS).__enter__()
        execute("SELECT 1")

    def leave_and_close(check: HealthCheck) -> None:
        leave(check)
        connections[ALIAS].close()

    def ask(check: HealthCheck) -> None:
        threads.add(threading.get_ident())
        execute("SELECT 1")

    definitions = [defined(check_status) for check_status in (leave, leave_and_close, ask)]
    for definition in definitions * 2:
        assert bench.read(definition).state is State.OK
    assert len(threads) == 1


@pytest.fixture
def used_by_receiver() -> Iterator[list[BaseDatabaseWrapper]]:
    """The connections of a receiver that uses the database."""
    used: list[BaseDatabaseWrapper] = []

    def receive(**arguments: object) -> None:
        used.append(opened())

    check_finished.connect(receive)
    yield used
    check_finished.disconnect(receive)


def test_receiver__keeps_no_connection(bench: Bench, used_by_receiver: list[BaseDatabaseWrapper]) -> None:
    """The connection that a receiver of a signal opened does not outlive its call, or it would be stale some day."""
    bench.read(defined(lambda check: None))
    eventually(lambda: used_by_receiver and used_by_receiver[0].connection is None)


class InDatabase(SharedStore):
    """A store that keeps its records in a database, as a Django cache may."""

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock)
        self.used: list[BaseDatabaseWrapper] = []

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        self.used.append(opened())
        return super().look(queries)


def test_store__keeps_no_connection() -> None:
    """Nor does the one that a store opened."""
    store = InDatabase(MovableClock())
    with contextlib.closing(Worker(store.clock, lambda: store)) as worker:
        assert worker.read(defined(lambda check: None)).state is State.OK
        eventually(lambda: store.used and store.used[0].connection is None)


def test_here__an_error_breaks_no_transaction(bench: Bench, settings: Settings) -> None:
    """A check in the thread of who reads undoes what it did in that thread's transaction if it breaks it."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 0}

    def spoil(check: HealthCheck) -> None:
        execute("INSERT INTO notes VALUES ('of the check')")
        transaction.set_rollback(True, using=ALIAS)  # as Django does where a query fails
        raise ServiceUnavailable("spoilt")

    def note(check: HealthCheck) -> None:
        execute("INSERT INTO notes VALUES ('of another')")

    with transaction.atomic(using=ALIAS):
        execute("CREATE TABLE notes (text TEXT)")
        assert bench.read(defined(spoil)).pretty_status == "unavailable: spoilt"
        assert bench.read(defined(note)).state is State.OK
        assert not transaction.get_rollback(using=ALIAS)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT text FROM notes")
        assert cursor.fetchall() == [("of another",)]


def test_here__a_broken_transaction_stays_broken(bench: Bench, settings: Settings) -> None:
    """What was to be rolled back before a check ran is afterwards."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 0}
    with transaction.atomic(using=ALIAS):
        execute("CREATE TABLE notes (text TEXT)")
        transaction.set_rollback(True, using=ALIAS)
        assert bench.read(defined(lambda check: None)).state is State.OK
        assert transaction.get_rollback(using=ALIAS)
