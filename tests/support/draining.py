"""What tests of draining need: the processes of a host, which share a file, and what they say."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

import pytest

from health_check.stores import Store
from health_check.stores.client import DRAINING_SECONDS, StoreClient
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import SECONDS, MovableClock

DRAINED = "This host is drained: its readiness endpoints answer 503."
UNDRAINED = "This host is no longer drained."


class Host:
    """A host whose processes share a file.

    Args:
        file: The file.
    """

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file
        self.clock = MovableClock()
        self._store_clients: list[StoreClient] = []

    def process(self, create: Callable[[], Store] | None = None) -> StoreClient:
        """Return what one more process has.

        Args:
            create: Makes its store; default one on the file.
        """
        self._store_clients.append(StoreClient(create or (lambda: SQLiteStore(path=self.file)), self.clock))
        return self._store_clients[-1]

    def learned(self, store_client: StoreClient) -> bool | None:
        """Have a process learn whether the host is drained, which it knows for a second."""
        self.clock.forward(DRAINING_SECONDS)
        assert store_client.learn_draining().wait(SECONDS)
        return store_client.draining

    def in_file(self) -> int | None:
        """Return what the file itself says; nothing where there is none."""
        if not self.file.exists():
            return None
        uri = f"{self.file.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=SECONDS)) as database:
            (found,) = database.execute("SELECT draining FROM sites").fetchone() or (None,)
        assert found is None or isinstance(found, int)
        return found

    @contextlib.contextmanager
    def locked_file(self, seconds: float = SECONDS) -> Iterator[None]:
        """Let no process use the file, for some seconds at most."""
        self.learned(self.process())  # there is one
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


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged about it."""
    return [message for message in caplog.messages if message in (DRAINED, UNDRAINED)]
