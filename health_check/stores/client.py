"""The keeper: keeps this process in step with the store, and going where the store cannot be used."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future
from health_check.concurrency.threads import new_lock
from health_check.concurrency.timers import Timers
from health_check.logs import details, log_once, logger
from health_check.redaction import mask
from health_check.stores import SETTLE_SECONDS, Entry, Key, Lease, Publication, Query, Store, StoreError
from health_check.stores.ledger import Ledger, counted_by
from health_check.stores.worker import Batch, Clerk, Errand, Item

T = TypeVar("T")

ANSWER_SECONDS = 0.25
"""How long to wait for the store before going on without."""

STUCK_SECONDS = 30.0
"""After how long a call to the store is left to itself, and another thread takes over."""

MOST_STUCK = 4
"""How many threads may be left to such calls."""

ALONE = ""
"""The token of the lease that a process gives itself where it cannot ask the store."""


class Keeper:
    """Ask and tell the store, on one thread of this process; nobody waits for that for long.

    A store that fails, or takes longer than ``ANSWER_SECONDS``, is left alone until it can be used again: this
    process goes on with what it knows, and keeps count of what the store has missed.

    Args:
        create: Makes a store.
        clock: Tells the time.
        timers: Keep the deadlines.
        adopt: Takes what the store knows when that becomes known without being asked for.
        untraced: Returns a context manager for work at the store: it is no run of a check.
    """

    def __init__(
        self,
        create: Callable[[], Store],
        clock: Clock,
        timers: Timers,
        adopt: Callable[[Key, Entry], None],
        untraced: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._create = create
        self._store = create()
        self._clock = clock
        self._timers = timers
        self._adopt = adopt
        self._untraced = untraced
        self._ledger = Ledger()
        self._lock = new_lock()
        self._clerk: Clerk | None = None
        self._stuck: list[Clerk] = []
        self._generation: str | None = None
        self._paused: list[Clerk] = []
        self._closed = False
        self._batch = Batch()
        self._batch.take()
        self._draining = self._store.draining
        self.trouble = ""
        """Why the store cannot be used; empty while it can."""

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
        if self._generation is not None and self._store.generation not in (None, self._generation):
            return False  # it lost what it knew, and this process has not yet brought what it knows
        left = self._store.settled_at - self._clock.now()
        return not 0 < left <= SETTLE_SECONDS

    @property
    def draining(self) -> bool | None:
        """Whether this host is drained, as of the last errand; None before there was one."""
        return self._draining

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
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.look(queries))
            for query, entry in zip(queries, entries, strict=True):
                self._ledger.note(query.key, entry)
            return entries

        def late(entries: Iterable[Entry]) -> None:
            self.release([entry.lease for entry in entries if entry.lease is not None])

        self.ask(work, done=done, alone=lambda: [_alone(query) for query in queries], late=late)

    def publish(self, publication: Publication, done: Callable[[Entry], None]) -> None:
        """Tell of the outcome of a run; what is known then may come on another thread."""
        if publication.lease is not None and publication.lease.token == ALONE:
            publication = dataclasses.replace(publication, lease=None)

        item = Item(publication=publication, done=done)
        if not self.shared:
            self._send(Batch(item))
            return
        with self._lock:
            if self._batch.add(item):
                return
            batch = self._batch = Batch(item)
        self._send(batch)

    def _send(self, batch: Batch) -> None:
        """Have the outcomes published that come until the store has time for them."""

        def work(store: Store) -> list[Entry]:
            items = batch.take()
            known = [dataclasses.replace(p, known=self._ledger.known(p.key)) for p in (i.publication for i in items)]
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.publish(known))
            for item, entry in zip(items, entries, strict=True):
                self._ledger.note(item.publication.key, entry)
                if not entry.accepted and item.publication.lease is None:  # another process was just writing
                    self._ledger.count(item.publication.key, counted_by(item.publication))
            return entries

        def late(entries: Iterable[Entry]) -> None:
            for item, entry in zip(batch.take(), entries, strict=True):
                if entry.accepted or item.publication.lease is None:  # counted, after all: there, or here twice
                    self._ledger.discount(item.publication)

        def alone() -> list[Entry]:
            return [self._ledger.publish(item.publication) for item in batch.take()]

        self.ask(work, done=batch.tell, alone=alone, late=late)

    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back."""
        held = [lease for lease in leases if lease.token != ALONE]
        if held:
            self.ask(lambda store: store.release(held), done=lambda _: None, alone=lambda: self._ledger.keep(held))

    def learn_draining(self) -> Future[bool | None]:
        """Have the store asked whether this host is drained; the future is None if that cannot be known."""
        answer: Future[bool | None] = Future()
        self.ask(lambda store: store.probe(), done=lambda _: answer.set_result(self._draining), alone=lambda: None)
        return answer

    def drain(self, on: bool) -> Future[bool]:
        """Have it noted that this host is drained, or no longer; the future says whether it was."""
        answer: Future[bool] = Future()

        def work(store: Store) -> bool:
            store.drain(on)
            return True

        self.ask(work, done=answer.set_result, alone=lambda: False)
        return answer

    def forget(self, keys: Sequence[Key]) -> None:
        """Know nothing more of checks that nobody reads."""
        self._ledger.forget(keys)
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

        def noting(store: Store) -> T:
            with self._untraced():
                value = work(store)
                self._note_draining(store)
            return value

        if not self.shared:
            done(self._at_once(noting, alone))
            return
        errand = Errand(noting, done=done, alone=alone, late=late)
        clerk = self._working_clerk()
        if clerk is None or not self.up:
            errand.give_up()
            return
        clerk.send(errand)
        self._watch(errand, clerk, ANSWER_SECONDS)

    def close(self) -> None:
        """Let the thread end."""
        with self._lock:
            clerk, self._clerk = self._clerk, None
            self._closed = True  # for good: another clerk would be at the store beside the one that leaves
        if clerk is not None:
            clerk.leave()

    def pause(self) -> None:
        """Let no call to the store be under way, for this process is about to fork."""
        clerk = self._clerk
        if clerk is not None and clerk.pause(ANSWER_SECONDS):
            self._paused.append(clerk)

    def go_on(self) -> None:
        """Go on after a pause."""
        if self._paused:
            self._paused.pop().go_on()

    def _at_once(self, work: Callable[[Store], T], alone: Callable[[], T]) -> T:
        try:
            return work(self._store)
        except Exception as error:
            log_once("store", "The store of the health checks failed.", error)
            return alone()

    def _working_clerk(self) -> Clerk | None:
        clerk = self._clerk
        if clerk is not None and clerk.seconds_busy() <= STUCK_SECONDS:
            return clerk
        with self._lock:
            self._stuck = [other for other in self._stuck if other.seconds_busy()]
            if self._closed or self._clerk is not clerk:
                return self._clerk
            if clerk is not None and len(self._stuck) >= MOST_STUCK:
                return None
            store = self._store if clerk is None else self._create()
            new = Clerk(store, up=lambda: self.up, tick=self._tick, lost=self._lost, clock=self._clock)
            self._clerk = new
            try:
                new.start()
            except RuntimeError:
                self._clerk = clerk
                return None
            if clerk is not None:
                clerk.leave()
                self._stuck.append(clerk)
            self._store = store
            return new

    def _watch(self, errand: Errand[T], clerk: Clerk, seconds: float) -> None:
        try:
            self._timers.call_later(seconds, lambda: self._overdue(errand, clerk))
        except RuntimeError:  # nobody would keep the deadline
            errand.give_up()

    def _overdue(self, errand: Errand[T], clerk: Clerk) -> None:
        """Go on without the store if it has not answered for too long; queueing behind other errands is no fault."""
        if errand.is_told:
            return
        left = ANSWER_SECONDS - clerk.seconds_busy()
        if left > 0 and self._clerk is clerk:
            self._watch(errand, clerk, left)
            return
        if clerk.is_at_store:
            self._lost(clerk, StoreError(f"{self.describe()} does not answer"))
        errand.give_up()

    def _lost(self, clerk: Clerk, error: Exception) -> None:
        """Go on alone, and say so once; what happens to a clerk that was left behind says nothing."""
        if clerk is not self._clerk:
            return
        text = mask(str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}")
        with self._lock:
            before, self.trouble = self.trouble, text or type(error).__name__
        if not before:
            logger.warning(
                "The store of the health checks cannot be used: %s. Until it can, this process goes on from memory.%s",
                text,
                "" if isinstance(error, StoreError) else details(error),
            )

    def _tick(self, clerk: Clerk) -> None:
        """Come back to the store if it can be used again, and bring it what it lacks."""
        with self._untraced():
            self._return_to(clerk.store)

    def _return_to(self, store: Store) -> None:
        store.probe()
        self._note_draining(store)
        if store.draining is None and self._draining:
            store.drain(True, unless_said=True)  # it lost what it knew
        changed = store.generation != self._generation
        if self.up and not changed and self._ledger.is_even:
            return
        if self._contribute(store, everything=changed and self._generation is not None):
            self._generation = store.generation
        with self._lock:
            is_back = bool(self.trouble) and self._ledger.is_even
            if is_back:
                self.trouble = ""
        if is_back:
            logger.info("The store of the health checks is back: %s.", self.describe())

    def _note_draining(self, store: Store) -> None:
        if store is not self._store:  # that of a clerk that was left behind
            return
        before, said = self._draining, store.draining
        if said is None or said is before:
            self._draining = bool(before)  # nobody has said so, or the store has forgotten
            return
        self._draining = said
        if said:
            logger.warning("This host is drained: its readiness endpoints answer 503.")
        elif before is not None:
            logger.info("This host is no longer drained.")

    def _contribute(self, store: Store, *, everything: bool) -> bool:
        """Bring the store what this process has counted, and all that it knows if the store has lost that.

        Returns:
            Whether the store took all of it.
        """
        arrears = self._ledger.take()
        publications = self._ledger.publications(arrears, everything=everything)
        try:
            store.release(arrears.leases)
            if everything and publications:
                store.settle_at(self._clock.now() + SETTLE_SECONDS)
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.publish(publications))
        except BaseException:
            self._ledger.put_back(arrears)
            raise
        for publication, entry in zip(publications, entries, strict=True):
            if not entry.accepted:
                self._ledger.count(publication.key, publication.unsent)
            self._ledger.note(publication.key, entry)
            self._adopt(publication.key, entry)
        return all(entry.accepted for entry in entries)

    def _as_of(self, moment: float, entries: list[Entry]) -> list[Entry]:
        """Return entries that count from a moment on the monotonic clock, when asking began: it may take a while."""
        return [dataclasses.replace(entry, as_of=moment) for entry in entries] if self.shared else entries


def _alone(query: Query) -> Entry:
    return Entry(lease=None if query.lease_seconds is None else Lease(key=query.key, token=ALONE))
