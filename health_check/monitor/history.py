"""What the store knows beyond the last results: counts, former runs, and how other hosts are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

from health_check.monitor.reports import Reading
from health_check.records import NO_TOTALS, Record, Result, Totals
from health_check.stores import Key, Store
from health_check.stores.client import ANSWER_SECONDS, StoreClient

MOST_AT_ONCE = 50
"""Of how many checks to ask at once: a large page is no reason to have refreshes wait."""

MOST_KEPT = 1000
"""How many answers to keep."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSummary:
    """What is counted of checks by all processes, and how the store is."""

    totals: Mapping[str, Totals] | None = None
    """What is counted, by label, or ``UNKNOWN_TOTALS``; None while the store cannot be used."""
    up: bool = False
    """Whether the store could be used when it was last."""
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


def summary_of(readings: Sequence[Reading], store_client: StoreClient) -> StoreSummary:
    """Return what is counted of checks that were just read: their records have it."""
    up = store_client.up
    totals = {reading.label: reading.record.totals if reading.record else NO_TOTALS for reading in readings}
    return StoreSummary(totals=totals if up else None, up=up, draining=bool(store_client.draining))


class HistoryReader:
    """Ask the store for histories; nobody waits for it for long, and nothing is asked twice for the same records.

    Args:
        store_client: Asks it.
    """

    def __init__(self, store_client: StoreClient) -> None:
        self._store_client = store_client
        self._kept: dict[tuple[Key, ...], tuple[object, History]] = {}

    def history(self, readings: Sequence[Reading]) -> History:
        """Return what is known of former runs of checks, and of other hosts; not of all where that takes long."""
        end = time.monotonic() + ANSWER_SECONDS
        found: list[History] = []
        for first in range(0, len(readings), MOST_AT_ONCE):
            part = readings[first : first + MOST_AT_ONCE]
            stamp = [reading.record.result_id if reading.record else None for reading in part]
            labels = _labels(part)
            kept = self._kept.get(tuple(labels))
            if kept is not None and kept[0] == stamp:
                found.append(kept[1])
            elif time.monotonic() < end:
                found.append(self._asked(labels, stamp))
        return found[0] if len(found) == 1 else _merged(found)

    def _asked(self, labels: Mapping[Key, str], stamp: object) -> History:
        history = self._store_client.call(lambda store: _history(store, labels), NO_HISTORY)
        if history is not NO_HISTORY:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[tuple(labels)] = stamp, history
        return history


def _merged(parts: Sequence[History]) -> History:
    history: dict[str, tuple[Result, ...]] = {}
    elsewhere: dict[str, dict[str, Record]] = {}
    for part in parts:
        history |= part.history
        for host, records in part.elsewhere.items():
            elsewhere.setdefault(host, {}).update(records)
    return History(history=history, elsewhere=elsewhere)


def _labels(readings: Sequence[Reading]) -> Mapping[Key, str]:
    """Return the labels of checks by the keys that they have, or had when they were called otherwise."""
    former = {
        Key(label=alias, scope=reading.definition.scope): reading.label
        for reading in readings
        for alias in reading.definition.aliases
    }
    return {**former, **{Key(label=r.label, scope=r.definition.scope): r.label for r in readings}}


def _history(store: Store, labels: Mapping[Key, str]) -> History:
    keys = tuple(labels)
    history: dict[str, list[Result]] = {}
    for key, results in store.history(keys).items():
        history.setdefault(labels[key], []).extend(results)
    return History(
        history={label: tuple(sorted(found, key=lambda result: result.finished)) for label, found in history.items()},
        elsewhere={
            host: {labels[key]: records[key] for key in keys if key in records}
            for host, records in store.elsewhere(keys).items()
        },
    )
