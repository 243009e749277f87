"""The keeper: keeps this process in step with the store, and going where the store cannot be used."""

from __future__ import annotations

import dataclasses
import functools
import math
import queue
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from health_check.clock import Clock
from health_check.logs import details, log_error, log_once, logger
from health_check.masking import mask
from health_check.records import NO_TOTALS, Record, Totals
from health_check.stores import Entry, Key, Lease, Publication, Query, Store, StoreError
from health_check.threads import new_lock, new_queue, start
from health_check.watchdog import Watchdog

T = TypeVar("T")

ANSWER_SECONDS = 0.25
"""How long to wait for the store before going on without."""

TICK_SECONDS = 1.0
"""How often to see whether the store is still the one it was, or is back."""

STUCK_SECONDS = 30.0
"""After how long a call to the store is left to itself, and another thread takes over."""

MOST_STUCK = 4
"""How many threads may be left to such calls."""

SETTLE_SECONDS = 3.0
"""How long processes have to bring what they know to a store that lost it."""

ALONE = ""
"""The token of the lease that a process gives itself where it cannot ask the store."""


class Errand(Generic[T]):
    """Something to do with the store: done there, or without it after a while, but told of once."""

    def __init__(self, work: Callable[[Store], T], *, done: Callable[[T], None], alone: Callable[[], T]) -> None:
        self.work = work
        self._done = done
        self._alone = alone
        self._lock = new_lock()
        self._told = False

    @property
    def is_told(self) -> bool:
        """Whether somebody was told of it."""
        return self._told

    def tell(self, value: T) -> bool:
        """Tell of what the store answered; return False if that comes too late."""
        claimed = self._claim()
        if claimed:
            self._report(value)
        return claimed

    def give_up(self) -> None:
        """Do it without the store, unless it is done."""
        if self._claim():
            self._report(self._alone())

    def _report(self, value: T) -> None:
        try:
            self._done(value)
        except Exception as error:  # not the store's fault
            log_error("What the store of the health checks answered could not be used.", error)

    def _claim(self) -> bool:
        with self._lock:
            told, self._told = self._told, True
        return not told


class Clerk:
    """The thread that does the errands, and what it is at."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.errands: queue.SimpleQueue[Errand[Any]] = new_queue()
        self.busy_since: float | None = None


class Keeper:
    """Ask and tell the store, on one thread of this process; nobody waits for that for long.

    A store that fails, or takes longer than ``ANSWER_SECONDS``, is left alone until it can be used again: this
    process goes on with what it knows, and keeps count of what the store has missed.

    Args:
        create: Makes a store.
        clock: Tells the time.
        watchdog: Keeps the deadlines.
        adopt: Takes what the store knows when that becomes known without being asked for.
    """

    def __init__(
        self,
        create: Callable[[], Store],
        clock: Clock,
        watchdog: Watchdog,
        adopt: Callable[[Key, Entry], None],
    ) -> None:
        self._create = create
        self._store = create()
        self._clock = clock
        self._watchdog = watchdog
        self._adopt = adopt
        self._lock = new_lock()
        self._clerk: Clerk | None = None
        self._stuck = 0
        self._generation: str | None = None
        self._known: dict[Key, Record] = {}
        self._unsent: dict[Key, Totals] = {}
        self._orphans: list[Lease] = []
        self.trouble = ""

    @property
    def shared(self) -> bool:
        """Whether other processes see the records."""
        return self._store.shared

    @property
    def up(self) -> bool:
        """Whether the store can be used."""
        return not self.trouble

    @property
    def settled(self) -> bool:
        """Whether the store's totals are complete."""
        left = self._store.settled_at - self._clock.now()
        return not 0 < left <= SETTLE_SECONDS

    @property
    def poll_seconds(self) -> float:
        """How long to wait before looking again for what another process is about to publish."""
        return self._store.poll_seconds

    def describe(self) -> str:
        """Return where the records are, for people."""
        return self._store.describe()

    def look(self, queries: Sequence[Query], done: Callable[[list[Entry]], None]) -> None:
        """Ask for what is known of some checks; the answer may come on another thread."""

        def work(store: Store) -> list[Entry]:
            entries = store.look(queries)
            self._note(queries, entries)
            return entries

        self.ask(work, done=done, alone=lambda: [_alone(query) for query in queries], late=self._give_back)

    def publish(self, publication: Publication, done: Callable[[Entry], None]) -> None:
        """Tell of the outcome of a run; what is known then may come on another thread."""
        key = publication.key
        if publication.lease is not None and publication.lease.token == ALONE:
            publication = dataclasses.replace(publication, lease=None)

        def work(store: Store) -> Entry:
            (entry,) = store.publish([dataclasses.replace(publication, known=self._known.get(key))])
            if entry.record is not None:
                self._known[key] = entry.record
            return entry

        def late(entry: Entry) -> None:
            if entry.accepted:  # it was counted, after all
                self._count(key, _negative(publication))

        self.ask(work, done=done, alone=lambda: self._publish_alone(publication), late=late)

    def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back."""
        held = [lease for lease in leases if lease.token != ALONE]
        if held:
            self.ask(lambda store: store.release(held), done=lambda _: None, alone=lambda: self._orphan(held))

    def forget(self, keys: Sequence[Key]) -> None:
        """Know nothing more of checks that nobody reads."""
        for key in keys:
            self._known.pop(key, None)
        self.ask(lambda store: store.forget(keys), done=lambda _: None, alone=lambda: None)

    def ask(
        self,
        work: Callable[[Store], T],
        *,
        done: Callable[[T], None],
        alone: Callable[[], T],
        late: Callable[[T], None] = lambda _: None,
    ) -> None:
        """Have something done with the store.

        Args:
            work: Does it.
            done: Hears what came of it, on whatever thread.
            alone: Does it without the store, where that fails or takes too long.
            late: Hears what came of it after all.
        """
        if not self.shared:
            done(self._at_once(work, alone))
            return

        def call(store: Store) -> T:
            value = work(store)
            if not errand.tell(value):
                late(value)
            return value

        errand: Errand[T] = Errand(call, done=done, alone=alone)
        clerk = self._working_clerk()
        if clerk is None or not self.up:
            errand.give_up()
            return
        clerk.errands.put(errand)
        self._watchdog.set(ANSWER_SECONDS, lambda: self._overdue(errand, clerk))

    def _at_once(self, work: Callable[[Store], T], alone: Callable[[], T]) -> T:
        try:
            return work(self._store)
        except Exception as error:
            log_once("store", "The store of the health checks failed.", error)
            return alone()

    def _publish_alone(self, publication: Publication) -> Entry:
        """Make an outcome part of what this process knows, and count it for the store."""
        key, known = publication.key, self._known.get(publication.key)
        if publication.lease is not None:
            self._orphan([publication.lease])
        self._count(key, _counted(publication))
        record = publication.applied_to(known, fresh=False)
        if record is None:
            return Entry(accepted=False)
        self._known[key] = dataclasses.replace(record, totals=known.totals if known else NO_TOTALS)
        return Entry(record=record, fresh_for=publication.max_age)

    def _count(self, key: Key, totals: Totals) -> None:
        with self._lock:
            self._unsent[key] = self._unsent.get(key, NO_TOTALS).plus(totals)

    def _orphan(self, leases: Iterable[Lease]) -> None:
        """Keep leases to be given back when that is possible."""
        with self._lock:
            self._orphans.extend(leases)

    def _give_back(self, entries: Iterable[Entry]) -> None:
        """Give back the leases that came too late."""
        self.release([entry.lease for entry in entries if entry.lease is not None])

    def _note(self, queries: Iterable[Query], entries: Iterable[Entry]) -> None:
        for query, entry in zip(queries, entries, strict=True):
            known = self._known.get(query.key)
            if entry.record is not None and (known is None or entry.record.seq > known.seq):
                self._known[query.key] = entry.record

    def _working_clerk(self) -> Clerk | None:
        with self._lock:
            clerk = self._clerk
            if clerk is not None and not self._is_stuck(clerk):
                return clerk
            if clerk is not None and self._stuck >= MOST_STUCK:
                return None
            store = self._store if clerk is None else self._create()
            new = self._clerk = Clerk(store)
            try:
                start(lambda: self._serve(new), "store")
            except RuntimeError:
                self._clerk = clerk
                return None
            if clerk is not None:
                self._stuck += 1
            self._store = store
            return new

    def _is_stuck(self, clerk: Clerk) -> bool:
        since = clerk.busy_since
        return since is not None and self._clock.monotonic() > since + STUCK_SECONDS

    def _overdue(self, errand: Errand[T], clerk: Clerk) -> None:
        """Go on without the store if it has not answered for too long; queueing behind other errands is no fault."""
        if errand.is_told:
            return
        since = clerk.busy_since
        left = ANSWER_SECONDS if since is None else since + ANSWER_SECONDS - self._clock.monotonic()
        if left > 0 and self._clerk is clerk:
            self._watchdog.set(left, lambda: self._overdue(errand, clerk))
            return
        if self._clerk is clerk:
            self._lost(StoreError(f"{self.describe()} does not answer"))
        errand.give_up()

    def _serve(self, clerk: Clerk) -> None:
        """Do errands, and see to the store from time to time."""
        tick_at = self._clock.monotonic() + TICK_SECONDS
        while self._clerk is clerk:
            try:
                errand = clerk.errands.get(timeout=max(0.001, tick_at - self._clock.monotonic()))
            except queue.Empty:
                errand = None
            clerk.busy_since = self._clock.monotonic()
            if errand is not None:
                if self.up:
                    self._guarded(clerk, functools.partial(errand.work, clerk.store))
                errand.give_up()
            if self._clock.monotonic() >= tick_at or self._store_changed(clerk):
                self._guarded(clerk, lambda: self._tick(clerk))
                tick_at = self._clock.monotonic() + TICK_SECONDS
            clerk.busy_since = None
        with self._lock:
            self._stuck = max(0, self._stuck - 1)
        clerk.store.close()

    def close(self) -> None:
        """Let the thread end."""
        with self._lock:
            self._clerk = None

    def _guarded(self, clerk: Clerk, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self._lost(error)
            try:
                clerk.store.close()
            except Exception as failure:
                log_error("The store of the health checks could not be closed.", failure)

    def _lost(self, error: Exception) -> None:
        """Go on alone, and say so once."""
        text = mask(str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}")
        with self._lock:
            before, self.trouble = self.trouble, text or type(error).__name__
        if not before:
            logger.warning(
                "The store of the health checks cannot be used: %s. Until it can, this process goes on from memory.%s",
                text,
                "" if isinstance(error, StoreError) else details(error),
            )

    def _store_changed(self, clerk: Clerk) -> bool:
        return clerk.store.generation != self._generation

    def _tick(self, clerk: Clerk) -> None:
        """Come back to the store if it can be used again, and bring it what it lacks."""
        clerk.store.probe()
        if self.up and not self._store_changed(clerk):
            return
        lost = self._generation is not None and self._store_changed(clerk)
        if not self._contribute(clerk.store, lost=lost):
            return
        self._generation = clerk.store.generation
        with self._lock:
            was_down = bool(self.trouble)
            if was_down and not self._unsent:
                self.trouble = ""
        if was_down and self.up:
            logger.info("The store of the health checks is back: %s.", self.describe())

    def _contribute(self, store: Store, *, lost: bool) -> bool:
        """Bring the store what this process knows and has counted; return whether nothing is left."""
        with self._lock:
            unsent, self._unsent = self._unsent, {}
            orphans, self._orphans = self._orphans, []
        keys = list(self._known) if lost else list(unsent)
        try:
            if orphans:
                store.release(orphans)
            if lost and keys:
                store.settle_at(self._clock.now() + SETTLE_SECONDS)
            publications = [
                Publication(key=key, known=self._known.get(key), unsent=unsent.get(key, NO_TOTALS)) for key in keys
            ]
            entries = store.publish(publications) if publications else []
        except BaseException:
            for key, totals in unsent.items():
                self._count(key, totals)
            self._orphan(orphans)
            raise
        for key, entry in zip(keys, entries, strict=True):
            if entry.record is not None:
                self._known[key] = entry.record
                self._adopt(key, entry)
        return True


def _alone(query: Query) -> Entry:
    lease = None if query.lease_seconds is None else Lease(key=query.key, token=ALONE)
    return Entry(lease=lease, fresh_for=-math.inf)


def _counted(publication: Publication) -> Totals:
    return NO_TOTALS if publication.result is None else Totals.of(publication.result)


def _negative(publication: Publication) -> Totals:
    return NO_TOTALS.minus(_counted(publication))
