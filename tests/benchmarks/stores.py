"""What stores cost."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator

from health_check.records import Result
from health_check.stores import Key, Publication, Query
from health_check.stores.sqlite import SQLiteStore
from tests.benchmarks.figures import Figure

RECORDS = 100
"""How many records are read."""

ROUNDS = 200


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures of SQLite on a warm file."""
    store = SQLiteStore(path=folder / "store.sqlite3")
    keys = [Key(label=f"Check {number}") for number in range(RECORDS)]
    queries = [Query(key=key, backend="benchmark") for key in keys]
    store.publish([_publication(key) for key in keys])
    yield Figure.of(f"reading {RECORDS} records from SQLite", _times(lambda: store.look(queries)), "ms", target=2)
    yield Figure.of("publishing one", _times(lambda: store.publish([_publication(keys[0])])), "ms", target=1)
    many = _times(lambda: store.publish([_publication(key) for key in keys]))
    yield Figure.of(f"publishing {RECORDS} together, each", [each / RECORDS for each in many], "ms", target=1)
    store.close()


def _times(function: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        found.append((time.perf_counter() - start) * 1000)
    return found


def _publication(key: Key) -> Publication:
    now = time.time()
    result = Result(time_taken=0.01, started=now - 0.01, finished=now, host="here", pid=1, backend="benchmark")
    return Publication(key=key, result=result, max_age=0.0)
