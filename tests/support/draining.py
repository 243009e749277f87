"""What tests of draining need: the processes of a host, which share a file, and what they say."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

import pytest

from health_check.concurrency.futures import Future
from health_check.concurrency.timers import Timers
from health_check.stores import Query, Store
from health_check.stores.client import StoreClient
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import SECONDS, MovableClock, eventually
from tests.support.places import KEY

DRAINED = "This host is drained: its readiness endpoints answer 503."
UNDRAINED = "This host is no longer drained."


class Probed(SQLiteStore):
    """Counts how often it was seen to."""

    probes = 0

    def probe(self) -> None:
        super().probe()
        self.probes += 1


class Host:
    """A host whose processes share a file.

    Args:
        file: The file.
    """

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file
        self.clock = MovableClock()
        self._timers = Timers(self.clock)
        self._store_clients: list[StoreClient] = []
        self._stores: list[Probed] = []

    def process(self, create: Callable[[], Store] | None = None) -> StoreClient:
        """Return what one more process has.

        Args:
            create: Makes its store; default one on the file.
        """
        self._store_clients.append(
            StoreClient(create or self._create, self.clock, self._timers, lambda key, entry: None)
        )
        return self._store_clients[-1]

    def _create(self) -> Probed:
        self._stores.append(Probed(path=self.file))
        return self._stores[-1]

    def wait_for_ticks(self) -> None:
        """Wait until all processes that use the file have seen to it a few times more."""
        working = [(store, store.probes) for store in self._stores if store.probes]
        eventually(lambda: all(store.probes >= before + 3 for store, before in working))

    def in_file(self) -> int | None:
        """Return what the file itself says; nothing where there is none."""
        if not self.file.exists():
            return None
        uri = f"{self.file.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=SECONDS)) as database:
            (found,) = database.execute("SELECT draining FROM life").fetchone()
        assert found is None or isinstance(found, int)
        return found

    @contextlib.contextmanager
    def locked_file(self, seconds: float = SECONDS) -> Iterator[None]:
        """Let no process use the file, for some seconds at most."""
        learned(self.process())  # there is one
        free = threading.Event()
        locked = threading.Event()
        thread = threading.Thread(target=self._lock, args=(locked, free, seconds))
        thread.start()
        assert locked.wait(SECONDS)
        try:
            yield
        finally:
            free.set()
            thread.join()

    def _lock(self, locked: threading.Event, free: threading.Event, seconds: float) -> None:
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None, timeout=SECONDS)) as database:
            database.execute("BEGIN EXCLUSIVE")
            locked.set()
            free.wait(seconds)
            database.execute("ROLLBACK")

    def close(self) -> None:
        """Let all processes end."""
        for store_client in self._store_clients:
            store_client.close()


TICK_SECONDS = 0.02
"""How often the processes of tests see to their stores."""


def drain(store_client: StoreClient, *, on: bool = True) -> bool:
    """Have a process say that the host is drained, or no longer; return whether it could."""
    future = store_client.drain(on)
    assert future.wait(SECONDS)
    return future.result()


def learned(store_client: StoreClient) -> bool | None:
    """Have a process learn whether the host is drained."""
    assert store_client.learn_draining().wait(SECONDS)
    return store_client.draining


def look(store_client: StoreClient) -> None:
    """Have a process ask for a check."""
    told: Future[object] = Future()
    store_client.look([Query(key=KEY)], told.set_result)
    assert told.wait(SECONDS)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged about it."""
    return [message for message in caplog.messages if message in (DRAINED, UNDRAINED)]
