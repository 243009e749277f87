"""What stores cost."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
from django.test import override_settings

from benchmarks.figures import Figure
from health_check.records import Record, Result
from health_check.stores import Key, Publication, Query, Store
from health_check.stores.cache import DjangoCacheStore
from health_check.stores.sqlite import SQLiteStore
from tests.support.caches import redis_server

RECORDS = 100
"""How many records are read."""

ROUNDS = 200


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures of SQLite on a warm file."""
    store = SQLiteStore(path=folder / "store.sqlite3")
    keys = [Key(label=f"Check {number}") for number in range(RECORDS)]
    queries = [Query(key=key, backend="benchmark") for key in keys]
    _refresh(store, queries)
    yield Figure.of(f"reading {RECORDS} records from SQLite", _times(lambda: store.look(queries)), "ms", target=2)
    yield Figure.of("taking a lease and publishing", _times(lambda: _refresh(store, queries[:1])), "ms", target=1)
    yield Figure.of("publishing", _publishing(store, queries[:1]), "ms", target=0.15)
    yield Figure.of(f"publishing {RECORDS} together, each", _publishing(store, queries), "ms", target=0.15)
    many = _times(lambda: _refresh(store, queries))
    yield Figure.of(f"the same for {RECORDS} together, each", [each / RECORDS for each in many], "ms", target=1)
    yield _past(store, keys, "SQLite")
    store.close()
    if shutil.which("redis-server"):
        with contextlib.redirect_stdout(sys.stderr):  # what the server prints
            found = [*_of_redis(folder, keys)]
        yield from found


def _of_redis(folder: pathlib.Path, keys: Sequence[Key]) -> Iterator[Figure]:
    queries = [Query(key=key, backend="benchmark") for key in keys]
    with redis_server(folder / "redis") as server, override_settings(CACHES={"default": server.configuration()}):
        store = DjangoCacheStore(site="benchmark")
        _refresh(store, queries)
        with redis.Redis.from_url(server.location) as client:
            before = _commands(client)
            store.look(queries)
            asked = _commands(client) - before - 1  # without the count itself
        yield Figure.of(f"commands for reading {RECORDS} records from Redis", [asked], "", target=1)
        yield Figure.of(f"reading {RECORDS} records from Redis", _times(lambda: store.look(queries)), "ms")
        yield _past(store, keys, "Redis")
        store.close()


def _past(store: Store, keys: Sequence[Key], place: str) -> Figure:
    """Return how long it takes to read the past of a day, of runs each five minutes."""
    now = time.time()
    moments = [now - 86400 + number * 300 for number in range(288)]
    for key in keys:
        store.add_past(key, [dataclasses.replace(_record_after(None).result, finished=moment) for moment in moments])
    return Figure.of(
        f"reading 24 h of {RECORDS} checks from {place}",
        _times(lambda: store.past(keys)),
        "ms",
        target=20 if place == "SQLite" else None,
    )


def _commands(client: Any) -> int:
    return int(client.info("stats")["total_commands_processed"])


def _times(function: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        found.append((time.perf_counter() - start) * 1000)
    return found


def _refresh(store: Store, queries: Sequence[Query]) -> None:
    """Take the leases of checks, whose records are never fresh, and publish outcomes."""
    entries = store.look([query._replace(lease_seconds=10.0) for query in queries])
    store.publish([Publication(lease=e.lease, record=_record_after(e.record)) for e in entries if e.lease is not None])


def _publishing(store: Store, queries: Sequence[Query]) -> list[float]:
    """Return how long it takes to publish each of some outcomes, without taking their leases."""
    found = []
    for _ in range(ROUNDS):
        entries = store.look([query._replace(lease_seconds=10.0) for query in queries])
        made = [Publication(lease=e.lease, record=_record_after(e.record)) for e in entries if e.lease is not None]
        start = time.perf_counter()
        store.publish(made)
        found.append((time.perf_counter() - start) * 1000 / len(queries))
    return found


def _record_after(record: Record | None) -> Record:
    now = time.time()
    result = Result(time_taken=0.01, started=now - 0.01, finished=now, host="here", pid=1, backend="benchmark")
    return Record.after(record, result, max_age=0.0)
