"""Django's database connections of a thread of ours: closed after each run, and kept from what a check does in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import Error, connections, transaction


def close_connections() -> None:
    """Close this thread's Django database connections; a pool gets its own back."""
    for connection in connections.all(initialized_only=True):
        connection.in_atomic_block = connection.closed_in_transaction = False  # of a transaction that was left open
        with contextlib.suppress(Exception):
            connection.close()


@contextlib.contextmanager
def savepoints() -> Iterator[None]:
    """Have the transactions of this thread outlive what a check does in them: an error would break them."""
    with contextlib.ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block and not connection.needs_rollback:
                with contextlib.suppress(Error):
                    stack.enter_context(_savepoint(connection.alias))
        yield


@contextlib.contextmanager
def _savepoint(alias: str) -> Iterator[None]:
    atomic = transaction.atomic(using=alias)
    atomic.__enter__()
    try:
        yield
    finally:
        with contextlib.suppress(Error):  # what it cannot keep, it undoes
            atomic.__exit__(None, None, None)
