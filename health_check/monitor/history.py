"""What the store knows beyond the last results: totals, history, and how other hosts are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from health_check.concurrency.futures import Future
from health_check.records import NO_TOTALS, Record, Result, Totals
from health_check.registry.definitions import Definition
from health_check.stores import Key, Query, Store
from health_check.stores.client import ANSWER_SECONDS, StoreClient

T = TypeVar("T")

PATIENCE_SECONDS = 4 * ANSWER_SECONDS
"""How long to wait in the end, should even the deadlines be late."""

MOST_KEPT = 100
"""How many endpoints' pasts to keep."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSummary:
    """What is counted of checks, and which of them run now, in any process."""

    totals: Mapping[str, Totals] | None = None
    """What is counted, by label; None while that is not known for sure."""
    running: frozenset[str] = frozenset()
    """The labels of checks that run now."""
    up: bool = False
    """Whether the store could be read."""
    draining: bool = False
    """Whether this host is drained, as far as that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """What a store knows of former runs, and of other hosts."""

    history: Mapping[str, tuple[Result, ...]] = dataclasses.field(default_factory=dict)
    """The newest results, oldest first, by label."""
    elsewhere: Mapping[str, Mapping[str, Record]] = dataclasses.field(default_factory=dict)
    """The records of other hosts by label, by host."""


NO_HISTORY = History()


class HistoryReader:
    """Ask the store; nobody waits for it for long.

    Args:
        store_client: Asks it.
    """

    def __init__(self, store_client: StoreClient) -> None:
        self._store_client = store_client
        self._kept: dict[tuple[Key, ...], tuple[object, History]] = {}

    def store_summary(self, definitions: Sequence[Definition]) -> StoreSummary:
        """Return what is counted of checks, and which of them run."""
        queries = [Query(key=_key(definition)) for definition in definitions]
        entries = self._ask(lambda store: store.look(queries))
        draining = bool(self._store_client.draining)
        if entries is None:
            return StoreSummary(draining=draining)
        counted = zip(queries, entries, strict=True)
        totals = {query.key.label: entry.record.totals if entry.record else NO_TOTALS for query, entry in counted}
        running = (query.key.label for query, entry in zip(queries, entries, strict=True) if entry.held_since)
        return StoreSummary(
            totals=totals if self._store_client.settled else None,
            running=frozenset(running),
            up=True,
            draining=draining,
        )

    def history(self, definitions: Sequence[Definition], stamp: object) -> History:
        """Return what is known of former runs of checks, and of other hosts.

        Args:
            definitions: The checks.
            stamp: What is another one as soon as there is something new.
        """
        keys = tuple(_key(definition) for definition in definitions)
        kept = self._kept.get(keys)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        history = self._ask(lambda store: _history(store, keys))
        if history is None:
            return NO_HISTORY
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[keys] = stamp, history
        return history

    def _ask(self, work: Callable[[Store], T]) -> T | None:
        answer: Future[T | None] = Future()
        self._store_client.ask(lambda store: _optional(work(store)), on_result=answer.set_result, fallback=lambda: None)
        return answer.result() if answer.wait(PATIENCE_SECONDS) else None


def _optional(value: T) -> T | None:
    return value


def _history(store: Store, keys: Sequence[Key]) -> History:
    return History(
        history={key.label: results for key, results in store.history(keys).items()},
        elsewhere={
            host: {key.label: record for key, record in records.items()}
            for host, records in store.elsewhere(keys).items()
        },
    )


def _key(definition: Definition) -> Key:
    return Key(label=definition.label, scope=definition.scope)
