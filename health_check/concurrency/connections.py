"""Connections of Django's: closed when a run or a client of ours is done, and kept from what a check does in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

POOLS = ("django_db_geventpool.", "dj_db_conn_pool.", "django_postgrespool2.")
"""Packages whose backends take connections from a pool of their own."""

POOL_OPTIONS = ("pool", "MAX_CONNS", "REUSE_CONNS")
"""What is in OPTIONS for pools, Django's own among them."""


def unpooled(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection that is made past any pool, in place of one that would be taken from there."""
    classes, options = type(connection).__mro__, connection.settings_dict["OPTIONS"]
    if not (options.get("pool") or any(each.__module__.startswith(POOLS) for each in classes)):
        return connection
    own = next(each for each in classes if each.__module__.startswith("django."))
    options = {name: value for name, value in options.items() if name not in POOL_OPTIONS}
    made: BaseDatabaseWrapper = own({**connection.settings_dict, "OPTIONS": options}, connection.alias)
    return made


def leave_pools() -> None:
    """Have this thread connect past all pools: where gevent is in force, they are for greenlets of other threads."""
    for alias in connections.settings:
        with contextlib.suppress(Exception):  # what cannot be configured raises where it is used
            connections[alias] = unpooled(connections[alias])


def close_connections() -> None:
    """Close this thread's Django database connections; a pool gets its own back."""
    for connection in connections.all(initialized_only=True):
        connection.in_atomic_block = connection.closed_in_transaction = False  # of a transaction that was left open
        with contextlib.suppress(Exception):
            connection.close()


def is_shared_cache(alias: str) -> bool:
    """Return whether other processes see what is put into a cache."""
    return not str(caches.settings[alias].get("BACKEND", "")).endswith(("DummyCache", "LocMemCache"))


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
