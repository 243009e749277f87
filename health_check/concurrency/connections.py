"""Connections of Django's: closed when a run or a client of ours is done, and kept from what a check does in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import Error, connections, transaction


def close_connections() -> None:
    """Close this thread's Django database connections; a pool gets its own back."""
    for connection in connections.all(initialized_only=True):
        connection.in_atomic_block = connection.closed_in_transaction = False  # of a transaction that was left open
        with contextlib.suppress(Exception):
            connection.close()


def close_cache(cache: Any) -> None:
    """Close the connections of a cache that only the caller has."""
    cache.close()
    for pool in getattr(cache._cache, "_pools", {}).values():  # noqa: SLF001 - Django closes no Redis
        pool.disconnect()


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
