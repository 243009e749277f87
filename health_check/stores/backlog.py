"""What this process knows of the store's records, and what it has counted that the store has not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from health_check.concurrency.threads import new_lock
from health_check.records import NO_TOTALS, Record, Totals
from health_check.stores import Key, Lease, Publication, StoreEntry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unsent:
    """What the store has missed."""

    totals: dict[Key, Totals] = dataclasses.field(default_factory=dict)
    """Runs that were not published."""
    leases: tuple[Lease, ...] = ()
    """Leases that were not given back."""


class Backlog:
    """Know what the store has said, and what it has missed; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._known: dict[Key, Record] = {}
        self._unsent = Unsent()

    def known(self, key: Key) -> Record | None:
        """Return the newest record of a check that this process has seen."""
        return self._known.get(key)

    def note(self, key: Key, entry: StoreEntry) -> None:
        """Note what the store said; one that lost its records does not make this process forget them."""
        known = self._known.get(key)
        if entry.record is not None and (known is None or entry.record.seq > known.seq):
            self._known[key] = entry.record

    def forget(self, keys: Iterable[Key]) -> None:
        """Know nothing more of some checks."""
        for key in keys:
            self._known.pop(key, None)

    def publish(self, publication: Publication) -> StoreEntry:
        """Make an outcome part of what this process knows, and count it for the store."""
        key, known = publication.key, self._known.get(publication.key)
        if publication.lease is not None:
            self.keep((publication.lease,))
        self.count(key, counted_by(publication))
        record = publication.applied_to(known, fresh=False)
        if record is None:
            return StoreEntry(accepted=False)
        self._known[key] = dataclasses.replace(record, totals=known.totals if known else NO_TOTALS)
        return StoreEntry(record=record, fresh_for=publication.max_age)

    def count(self, key: Key, totals: Totals) -> None:
        """Count runs that the store does not know of."""
        with self._lock:
            sums = self._unsent.totals
            sums[key] = sums.get(key, NO_TOTALS).plus(totals)

    def discount(self, publication: Publication) -> None:
        """Take back that the store does not know of a run."""
        key, counted = publication.key, counted_by(publication)
        with self._lock:
            sums = self._unsent.totals
            if key in sums:  # else the store has been told already: a total never goes back
                sums[key] = sums[key].minus(counted).at_least(NO_TOTALS)

    def keep(self, leases: Sequence[Lease]) -> None:
        """Keep leases to be given back."""
        with self._lock:
            self._unsent = dataclasses.replace(self._unsent, leases=(*self._unsent.leases, *leases))

    @property
    def is_empty(self) -> bool:
        """Whether the store has missed nothing."""
        return not self._unsent.totals and not self._unsent.leases

    def take(self) -> Unsent:
        """Return what the store has missed, to be brought to it."""
        with self._lock:
            unsent_now, self._unsent = self._unsent, Unsent()
        return unsent_now

    def put_back(self, unsent_now: Unsent) -> None:
        """Take back what could not be brought."""
        for key, totals in unsent_now.totals.items():
            self.count(key, totals)
        self.keep(unsent_now.leases)

    def publications(self, unsent_now: Unsent, *, everything: bool) -> list[Publication]:
        """Return what to tell a store.

        Args:
            arrears: What it has missed.
            everything: Whether it has lost all that it knew.
        """
        keys = dict.fromkeys([*self._known, *unsent_now.totals] if everything else unsent_now.totals)
        return [
            Publication(key=key, known=self._known.get(key), unsent=unsent_now.totals.get(key, NO_TOTALS))
            for key in keys
        ]


def counted_by(publication: Publication) -> Totals:
    """Return the run that a publication tells of."""
    return NO_TOTALS if publication.result is None else Totals.of(publication.result)
