"""What a store guarantees, and the types of what it takes and returns."""

from __future__ import annotations

import abc
import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from health_check.concurrency.clock import Clock
from health_check.conf import settings
from health_check.past import Addition, Failure, Past, addition_of, additions_of
from health_check.records import NO_TOTALS, Record, Result
from health_check.stores import serializer
from health_check.stores.site import site

T = TypeVar("T")

LEASE_SECONDS = 2.0
"""How much longer than a run until its deadline a lease lasts, so that the outcome can be published."""

LEASE_AGES = 3
"""For how many times the length of its own lease a process accepts another one's, even if that ends later."""

MOST_NUMBERS = 1000
"""How many numbers a record may count: a bucket of durations has one each, also after the buckets were changed."""

RELEASE_SECONDS = 3600
"""For how many seconds the results of another release are kept without a run of it."""

UNUSED_SECONDS = 7 * 86400
"""After how many seconds without a write stored documents are no longer used."""

FUTURE_SECONDS = 2.0
"""How far in the future a run may have ended: beyond that a clock was wrong, and the record counts as expired."""


class StoreError(Exception):
    """A store cannot be used, at present at least; the text says why."""


class Key(NamedTuple):
    """What a store knows a check by."""

    label: str
    """The name of the check."""
    scope: str = "host"
    """``"host"``, or ``"fleet"`` for what is the same on all hosts."""


class Lease(NamedTuple):
    """The right to run one check, and to publish the one record that follows the record it was taken on."""

    key: Key
    """The check."""
    token: str
    """What distinguishes this lease from the ones before and after it."""
    seq: int = 0
    """The number of the record that it was taken on; 0 where there was none."""
    ends: float = math.inf
    """Until when it holds, on the monotonic clock of the process that took it."""
    outlasts: float = math.inf
    """After how many seconds another lease gives way to it, though that has not ended."""


class Query(NamedTuple):
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
    max_age: float = math.inf
    """For how many seconds a record is fresh at most for this reader, even if the record says longer."""
    not_before: float = -math.inf
    """A run that began before this, Unix time in seconds, is not fresh: the asking process started then."""


class StoreEntry(NamedTuple):
    """What a store knows of one check."""

    record: Record | None = None
    """The newest record of this release of the site."""
    latest: Record | None = None
    """The newest record of any release: what the first run of a release goes on from."""
    fresh_for: float = -math.inf
    """For how many seconds it is still fresh; negative, for how many it has not been."""
    lease: Lease | None = None
    """The lease that was asked for, if it was to be had."""
    held_since: float | None = None
    """When another holder got the lease, Unix time in seconds; None if there is no other."""

    def suffices(self, query: Query) -> bool:
        """Return whether the record can be shown as it is: it is fresh, or was published since somebody waits."""
        if self.record is None or self.record.result.backend != query.backend:
            return False
        if self.record.result.started < query.not_before:
            return False
        if query.seen is not None and self.record.result_id != query.seen:
            return True  # not by its clock: two processes would replace each other's records while a clock is set
        return self.fresh_for > query.lead and not query.force


class Publication(NamedTuple):
    """The record that a run has led to."""

    lease: Lease
    """The right to publish it."""
    record: Record
    """The record; what is counted in it is counted again from what is stored."""
    forced: bool = False
    """Whether processes that have a fresh record are to look for this one."""


class Stored(NamedTuple):
    """What a backend has stored of one check."""

    record: Record | None = None
    """The record of this release, with all that is counted; None if there is none that this version can read."""
    latest: Record | None = None
    """The newest record of any release."""
    seq: int = 0
    """The number of the record, 0 if there is none."""
    held_since: float | None = None
    """Since when a lease on that record is held, Unix time in seconds; None if none is."""


def _token() -> str:
    return os.urandom(8).hex()


class Store(abc.ABC):
    """Keep the newest record of each check, and the leases to run them.

    The rules of freshness, leases and fencing are in this class: a backend only fetches, takes, writes and drops. It is
    used by one thread at a time, except for stores that are not ``shared``.

    Records and leases belong to a site and a release of it. What is counted, and the past, go on through releases.

    Args:
        clock: Returns the time.
    """

    shared: bool = True
    """Whether using it means I/O: then that happens on one thread."""

    poll_seconds: float = 0.02
    """How long to wait before looking again for what another process is about to publish."""

    draining: bool | None = None
    """Whether this host is drained, as it was when the store was used last; None where nobody has said so."""

    drained_elsewhere: frozenset[str] = frozenset()
    """Which of the other hosts were drained, as they were when ``elsewhere`` was asked last."""

    mark_seconds: float = 0.0
    """How long it takes, while requests come, until all processes have seen that a run was forced."""

    mark: object = None
    """Another value after each forced run, as it was when the store was used last."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        _ = settings.SITE  # one that cannot be used is better reported now
        self.site_release = settings.RELEASE
        """The release of the site that measures."""
        self.progressed: Callable[[], object] = lambda: None
        """Is called for each statement or round trip of a call: a store that makes progress is slow, not lost."""

    @functools.cached_property
    def site(self) -> str:
        """What distinguishes the records of this site from those of others."""
        return site()

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

    def current_mark(self) -> object:
        """Return ``mark`` as it is now, if that can be read at once and on any thread; else as it was last seen."""
        return self.mark

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        """Return what is known of some checks, in their order, with the leases of those that have to run."""
        entries, wanting = [], {}
        for position, (query, stored) in enumerate(zip(queries, self._fetch(queries), strict=True)):
            outlasts = math.inf if query.lease_seconds is None else LEASE_AGES * query.lease_seconds
            entry = StoreEntry(
                record=stored.record,
                latest=stored.latest,
                fresh_for=self.fresh_for(stored.record, query.max_age),
                held_since=stored.held_since if self._is_credible(stored.held_since, outlasts) else None,
            )
            entries.append(entry)
            if query.lease_seconds is not None and entry.held_since is None and not entry.suffices(query):
                ends = self._clock.monotonic() + query.lease_seconds
                token = _token()
                wanting[position] = Lease(key=query.key, token=token, seq=stored.seq, ends=ends, outlasts=outlasts)
        if wanting:
            now = self._clock.now()
            taken = self._take(list(wanting.values()), now)
            for (position, lease), is_ours in zip(wanting.items(), taken, strict=True):
                holder = {"lease": lease} if is_ours else {"held_since": now}  # or somebody published just now
                entries[position] = entries[position]._replace(**holder)
        return entries

    def publish(self, publications: Sequence[Publication]) -> list[Record | None]:
        """Replace records by those that runs have led to, and give their leases back.

        A lease that has ended, as where a run had to wait for a thread, is taken once more if nobody else has done so.

        Returns:
            For each the record as it is stored now, with all runs counted; None for one whose lease is no longer in
            force: it is dropped, as another process has the check.
        """
        now = self._clock.monotonic()
        valid = dict(enumerate(publications))
        ended = {place: each.lease for place, each in valid.items() if each.lease.ends <= now}
        renewed = self._renewed(list(ended.values()), now + LEASE_SECONDS) if ended else ()
        for place, lease in zip(ended, renewed, strict=True):
            publication = valid.pop(place)
            if lease is not None:
                valid[place] = publication._replace(lease=lease)
        written = dict(zip(valid, self._write(list(valid.values())), strict=True)) if valid else {}
        if any(publications[place].forced and record for place, record in written.items()):
            self._raise_mark()
        return [written.get(place) for place in range(len(publications))]

    def _renewed(self, leases: Sequence[Lease], ends: float) -> list[Lease | None]:
        """Take leases that have ended once more; None for those whose record is another one, or that others have."""
        stored = self._fetch([Query(key=lease.key) for lease in leases])
        found = [
            lease._replace(token=_token(), ends=ends) if stored_.seq == lease.seq else None
            for lease, stored_ in zip(leases, stored, strict=True)
        ]
        taken = iter(self._take([lease for lease in found if lease is not None], self._clock.now()))
        return [lease if lease is not None and next(taken) else None for lease in found]

    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back, so that the checks can be run again; those that are no longer in force are others'."""
        now = self._clock.monotonic()
        if held := [lease for lease in leases if lease.ends > now]:
            self._drop(held)

    def fresh_for(self, record: Record | None, max_age: float = math.inf) -> float:
        """Return for how many seconds a record is fresh; one that a clock ahead of ours has made is not.

        Args:
            record: The record.
            max_age: For how many seconds from the end of its run it may be fresh, even if it says longer.
        """
        now = self._clock.now()
        if record is None or record.result.finished > now + FUTURE_SECONDS:
            return -math.inf
        age = min(record.max_age, max_age)
        return min(age, record.fresh_until - now, record.result.finished + age - now)

    def _is_credible(self, since: float | None, seconds: float) -> bool:
        """Return whether a lease that began at a time may still be held, even if it says that it ends later.

        Args:
            since: When it began, Unix time in seconds; None if there is none.
            seconds: For how long one is accepted.
        """
        return since is not None and abs(self._clock.now() - since) <= seconds

    def _name(self, key: Key) -> str:
        """Return what a check is stored under: text that any store can keep, with any label.

        It has the version of the schema and the site, as others may share the store.
        """
        return f"{serializer.VERSION}:{self.site}:{key.label}".encode("utf-8", "backslashreplace").decode()

    def _following(self, publication: Publication, latest: Record | None) -> Record:
        """Return the record of a publication with its run counted on top of all that was counted before."""
        result = publication.record.result
        former = _of_same_check(latest, result)
        totals = (former.totals if former is not None else NO_TOTALS).counting(result)
        record = publication.record
        numbers = (record.seq, record.streak, *totals.runs.values(), *totals.durations.values())
        if max(numbers) > serializer.MOST_COUNTED or len(numbers) > MOST_NUMBERS:  # nobody could read these
            seq = record.seq if record.seq <= serializer.MOST_COUNTED else int(result.finished)  # no lease has that
            record, totals = record._replace(seq=seq, streak=1), NO_TOTALS.counting(result)
        return record._replace(totals=totals, release=self.site_release)

    def _raise_mark(self) -> None:  # noqa: B027 - there is nothing to do where others do not see it
        """Have other processes look in the store though their records are fresh, as one of them was replaced."""

    @abc.abstractmethod
    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        """Return what is stored of some checks, in their order, and note whether this host is ``draining``."""

    @abc.abstractmethod
    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        """Take leases for as long as they say, where the record has the same number still and nobody holds one on it.

        One that they ``outlast`` is taken from its holder.

        Args:
            leases: The leases.
            now: The Unix time in seconds, for ``held_since``.
        """

    @abc.abstractmethod
    def _write(self, publications: Sequence[Publication]) -> list[Record | None]:
        """Write records whose leases are still held, and give these back; return those that were written.

        ``_following`` makes a record of what is published and the newest record of any release.
        """

    @abc.abstractmethod
    def _drop(self, leases: Sequence[Lease]) -> None:
        """Give leases back where they are held."""

    def _counted(self, items: Iterable[T]) -> Iterator[T]:
        """Go through what is done one by one, each by a statement or round trip, and have that noted."""
        for item in items:
            yield item
            self.progressed()

    def forget(self, keys: Iterable[Key]) -> None:  # noqa: B027 - there is nothing to do where others may know them
        """Drop what is known of checks in this process's memory: they may not exist any more."""

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        """Return what is kept of the past of checks; of none where the store keeps no past."""
        return {}

    def past_failures(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[Failure]]:
        """Return the last runs of checks that did not end ok, in any order; none where the store keeps no past."""
        return {}

    def add_past(self, key: Key, results: Iterable[Result]) -> None:
        """Add runs of former times to the past of a check, as for a demonstration; its record and counts stay.

        Args:
            key: The check.
            results: The outcomes, oldest first; what is older than ``DAYS`` days is dropped sooner or later.

        Raises:
            StoreError: If the store cannot be used.
        """
        self._add(key, additions_of(results, self._host_of(key)))

    def _add(self, key: Key, additions: Sequence[Addition]) -> None:  # noqa: B027 - a store may keep no past
        """Add runs to the past of a check."""

    def _host_of(self, key: Key) -> str | None:
        """Return the host that a result says something about; None for the one that ran it."""
        return "" if key.scope == "fleet" else None

    def _addition(self, key: Key, result: Result, latest: Record | None) -> Addition:
        """Return what a run adds to the past of a check, after the newest record of any release."""
        former = _of_same_check(latest, result)
        host = self._host_of(key)
        return addition_of(result, former and former.result, result.host if host is None else host)

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        """Return the records that other hosts have of checks, by host; none where the store has but one host.

        Asked after ``past``, which finds out which hosts there are.
        """
        return {}

    def probe(self) -> None:
        """Find out whether the store can be used, and whether this host is ``draining``.

        Raises:
            StoreError: If it cannot be used.
        """
        self._fetch(())

    def verify(self) -> None:
        """Find out whether a store that could not be used can be used again, also for writing.

        Raises:
            StoreError: If it cannot.
        """
        self.probe()

    @abc.abstractmethod
    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        """Note that this host is drained, or no longer.

        Args:
            on: Whether it is.
            unless_said: Whether what another process has said wins; ``probe`` returns which it is.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close connections; the next use makes new ones."""


def _of_same_check(latest: Record | None, result: Result) -> Record | None:
    """Return the record before a result; None where another check had the label then."""
    return latest if latest is not None and latest.result.backend == result.backend else None


def create_store() -> Store:
    """Return a new store as ``HEALTH_CHECK["STORE"]`` says.

    Raises:
        ImproperlyConfigured: If there is no such class, or it does not take these options.
    """
    path, options = settings.STORE["BACKEND"], settings.STORE["OPTIONS"]
    try:
        store = import_string(path)(**options)
    except Exception as error:  # of a store's constructor, whose arguments are the site's
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE'] cannot be used: {path}: {error}.") from error
    if not isinstance(store, Store):
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE']['BACKEND'] is {path!r}: use a subclass of Store.")
    return store
