"""What a store promises, and what is exchanged with it."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from health_check.conf import settings
from health_check.records import NO_TOTALS, Record, Result, Totals
from health_check.stores import serializer

LEASE_SECONDS = 2.0
"""How much longer than a run until its deadline a lease lasts, so that the outcome can be published."""


SETTLE_SECONDS = 3.0
"""How long processes have to bring what they know to a store that lost it."""


class StoreError(Exception):
    """A store cannot be used, at present at least; the text says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """What a store knows a check by."""

    label: str
    """The name of the check."""
    scope: str = "host"
    """``"host"``, or ``"fleet"`` for what is the same on all hosts."""

    @property
    def text(self) -> str:
        """The version of the schema and the label, as text that can be kept anywhere, whatever is in the label."""
        return f"{serializer.VERSION}:{self.label}".encode("utf-8", "backslashreplace").decode()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to run one check and to publish the outcome."""

    key: Key
    """The check."""
    token: str
    """What tells this lease from the ones before and after it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked of one check."""

    key: Key
    """The check."""
    backend: str = ""
    """Its dotted path; the result of another one under the same label is not fresh."""
    lease_seconds: float | None = None
    """For how long to have the lease if the check has to run; None does not ask for it."""
    force: bool = False
    """Whether to have the lease even while the record is fresh."""
    seen: str | None = None
    """The id of the result that was there when the wait for a newer one began, empty if there was none."""
    lead: float = 0.0
    """How many seconds before the record expires to have the lease."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """What a store knows of one check."""

    record: Record | None = None
    """The newest record."""
    fresh_for: float = -math.inf
    """For how many seconds it is still fresh; negative, for how many it has not been."""
    as_of: float | None = dataclasses.field(default=None, compare=False)
    """The moment that ``fresh_for`` counts from, on the monotonic clock; None for the moment it is read."""
    lease: Lease | None = None
    """The lease that was asked for, if it was to be had."""
    held_since: float | None = None
    """When another holder got the lease, Unix time in seconds; None if there is no other."""
    accepted: bool = True
    """Whether what was published is in the record; False if it was outrun."""

    def suffices(self, query: Query) -> bool:
        """Tell whether the record can be shown as it is: it is fresh, or was published since somebody waits."""
        if self.record is None or self.record.result.backend != query.backend:
            return False
        if query.seen is not None and self.record.result_id != query.seen:
            return True
        return self.fresh_for > query.lead and not query.force


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publication:
    """What a process has to tell of one check."""

    key: Key
    """The check."""
    lease: Lease | None = None
    """The right to publish; without it the result does not replace a record that is fresh."""
    result: Result | None = None
    """The outcome of a run."""
    max_age: float = 0.0
    """For how many seconds it is fresh."""
    known: Record | None = None
    """The newest record that this process knows; a store that lost its own goes on from there."""
    unsent: Totals = NO_TOTALS
    """What is to be counted besides: runs that could not be published at their time."""

    def applied_to(self, stored: Record | None, *, fresh: bool) -> Record | None:
        """Return what the record is to be.

        Args:
            stored: What the store has.
            fresh: Whether that is fresh.
        """
        both = [record for record in (stored, self.known) if record is not None]
        newest = stored if fresh else max(both, key=lambda record: record.result.finished, default=None)
        totals = self._totals(stored)
        record = newest
        if self.result is not None and (self.lease is not None or not fresh):
            record = Record.after(newest, self.result, max_age=self.max_age, totals=totals)
        if record is None or (record is stored and totals == stored.totals):
            return record
        return dataclasses.replace(record, seq=max((record.seq for record in both), default=0) + 1, totals=totals)

    def _totals(self, stored: Record | None) -> Totals:
        """Return what is counted when all who count are asked."""
        before = stored.totals if stored is not None else NO_TOTALS
        if self.known is not None and self.known is not stored:
            before = before.at_least(self.known.totals)
        if self.unsent is not NO_TOTALS:
            before = before.plus(self.unsent)
        return before if self.result is None else before.counting(self.result)


class Store(abc.ABC):
    """Keep the newest record of each check, and the leases to run them.

    Used by one thread at a time, but for stores that are not ``shared``.
    """

    shared: bool = True
    """Whether using it means I/O: then that happens on a thread of its own."""

    poll_seconds: float = 0.02
    """How long to wait before looking again for what another process is about to publish."""

    generation: str | None = None
    """What tells this life of the store from earlier ones: it is another one after all was lost."""

    settled_at: float = 0.0
    """From when on its totals are complete, Unix time in seconds: after a loss, processes bring what they know."""

    draining: bool | None = None
    """Whether this host is drained; None where nobody has said so in this life of the store."""

    @property
    def reaches_others(self) -> bool:
        """Whether other processes see the records, where a user would expect that."""
        return True

    @abc.abstractmethod
    def describe(self) -> str:
        """Return where the records are, for people."""

    def trouble(self) -> str:
        """Return what is wrong with the place before it is used, and what to do about it; empty if nothing is seen."""
        return ""

    @abc.abstractmethod
    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        """Return what is known of some checks, in their order, with the leases of those that have to run."""

    @abc.abstractmethod
    def publish(self, publications: Sequence[Publication]) -> list[StoreEntry]:
        """Make outcomes part of the records, give their leases back, and return what is known then.

        A result whose lease is no longer in force is dropped.
        """

    @abc.abstractmethod
    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back, so that the checks can be run again."""

    @abc.abstractmethod
    def forget(self, keys: Iterable[Key]) -> None:
        """Drop what is known of checks in this process's memory: they may be no more."""

    def history(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Result, ...]]:
        """Return the newest results of checks, oldest first; none where the store keeps no history."""
        return {}

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        """Return the records that other hosts have of checks, by host; none where the store has but one host."""
        return {}

    @abc.abstractmethod
    def probe(self) -> None:
        """Find out whether the store can be used, which ``generation`` it is, and whether this host is ``draining``.

        Raises:
            StoreError: If it cannot be used.
        """

    @abc.abstractmethod
    def settle_at(self, moment: float) -> None:
        """Note from when on the totals are complete, Unix time in seconds."""

    @abc.abstractmethod
    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        """Note that this host is drained, or no longer.

        Args:
            on: Whether it is.
            unless_said: Whether what was said in this life of the store goes before; ``probe`` tells which it is.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of connections; the next use makes new ones."""


def create_store() -> Store:
    """Return a new store as ``HEALTH_CHECK["STORE"]`` says.

    Raises:
        ImproperlyConfigured: If there is no such class, or it does not take these options.
    """
    path, options = settings.STORE["BACKEND"], settings.STORE["OPTIONS"]
    try:
        store = import_string(path)(**options)
    except (ImportError, TypeError) as error:
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE'] cannot be used: {path}: {error}.") from error
    if not isinstance(store, Store):
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE']['BACKEND'] is {path!r}: use a subclass of Store.")
    return store
