"""The store client: keeps this process in step with the store, and going where the store cannot be used."""

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
from health_check.stores import SETTLE_SECONDS, Key, Lease, Publication, Query, Store, StoreEntry, StoreError
from health_check.stores.backlog import Backlog, counted_by
from health_check.stores.worker import Batch, Item, StoreCall, StoreThread

T = TypeVar("T")

ANSWER_SECONDS = 0.25
"""How long to wait for the store before going on without."""

STUCK_SECONDS = 30.0
"""After how long a call to the store is left to itself, and another thread takes over."""

MOST_STUCK = 4
"""How many threads may be left to such calls."""

NO_STORE = ""
"""The token of the lease that a process gives itself where it cannot ask the store."""


class StoreClient:
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
        adopt: Callable[[Key, StoreEntry], None],
        untraced: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._create = create
        self._store = create()
        self._clock = clock
        self._timers = timers
        self._adopt = adopt
        self._untraced = untraced
        self._backlog = Backlog()
        self._lock = new_lock()
        self._thread: StoreThread | None = None
        self._stuck: list[StoreThread] = []
        self._generation: str | None = None
        self._paused: list[StoreThread] = []
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
        """Whether this host is drained, as of the last call; None before there was one."""
        return self._draining

    @property
    def poll_seconds(self) -> float:
        """How long to wait before looking again for what another process is about to publish."""
        return self._store.poll_seconds

    def describe(self) -> str:
        """Return where the records are, for people."""
        return self._store.describe()

    def look(self, queries: Sequence[Query], on_result: Callable[[list[StoreEntry]], None]) -> None:
        """Ask for what is known of some checks; the answer may come on another thread."""

        def call(store: Store) -> list[StoreEntry]:
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.look(queries))
            for query, entry in zip(queries, entries, strict=True):
                self._backlog.note(query.key, entry)
            return entries

        def on_late_result(entries: Iterable[StoreEntry]) -> None:
            self.release([entry.lease for entry in entries if entry.lease is not None])

        self.ask(
            call,
            on_result=on_result,
            fallback=lambda: [_without_store(query) for query in queries],
            on_late_result=on_late_result,
        )

    def publish(self, publication: Publication, on_result: Callable[[StoreEntry], None]) -> None:
        """Tell of the outcome of a run; what is known then may come on another thread."""
        if publication.lease is not None and publication.lease.token == NO_STORE:
            publication = dataclasses.replace(publication, lease=None)

        item = Item(publication=publication, on_result=on_result)
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

        def call(store: Store) -> list[StoreEntry]:
            items = batch.take()
            known = [dataclasses.replace(p, known=self._backlog.known(p.key)) for p in (i.publication for i in items)]
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.publish(known))
            for item, entry in zip(items, entries, strict=True):
                self._backlog.note(item.publication.key, entry)
                if not entry.accepted and item.publication.lease is None:  # another process was just writing
                    self._backlog.count(item.publication.key, counted_by(item.publication))
            return entries

        def on_late_result(entries: Iterable[StoreEntry]) -> None:
            for item, entry in zip(batch.take(), entries, strict=True):
                if entry.accepted or item.publication.lease is None:  # counted, after all: there, or here twice
                    self._backlog.discount(item.publication)

        def fallback() -> list[StoreEntry]:
            return [self._backlog.publish(item.publication) for item in batch.take()]

        self.ask(call, on_result=batch.tell, fallback=fallback, on_late_result=on_late_result)

    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back."""
        held = [lease for lease in leases if lease.token != NO_STORE]
        if held:
            self.ask(
                lambda store: store.release(held), on_result=lambda _: None, fallback=lambda: self._backlog.keep(held)
            )

    def learn_draining(self) -> Future[bool | None]:
        """Have the store asked whether this host is drained; the future is None if that cannot be known."""
        answer: Future[bool | None] = Future()
        self.ask(
            lambda store: store.probe(), on_result=lambda _: answer.set_result(self._draining), fallback=lambda: None
        )
        return answer

    def drain(self, on: bool) -> Future[bool]:
        """Have it noted that this host is drained, or no longer; the future says whether it was."""
        answer: Future[bool] = Future()

        def call(store: Store) -> bool:
            store.drain(on)
            return True

        self.ask(call, on_result=answer.set_result, fallback=lambda: False)
        return answer

    def forget(self, keys: Sequence[Key]) -> None:
        """Know nothing more of checks that nobody reads."""
        self._backlog.forget(keys)
        self.ask(lambda store: store.forget(keys), on_result=lambda _: None, fallback=lambda: None)

    def ask(
        self,
        call: Callable[[Store], T],
        *,
        on_result: Callable[[T], None],
        fallback: Callable[[], T],
        on_late_result: Callable[[T], None] = lambda _: None,
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
                value = call(store)
                self._note_draining(store)
            return value

        if not self.shared:
            on_result(self._at_once(noting, fallback))
            return
        store_call = StoreCall(noting, on_result=on_result, fallback=fallback, on_late_result=on_late_result)
        thread = self._working_thread()
        if thread is None or not self.up:
            store_call.give_up()
            return
        thread.send(store_call)
        self._watch(store_call, thread, ANSWER_SECONDS)

    def close(self) -> None:
        """Let the thread end."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._closed = True  # for good: another thread would be at the store beside the one that leaves
        if thread is not None:
            thread.leave()

    def pause(self) -> None:
        """Let no call to the store be under way, for this process is about to fork."""
        thread = self._thread
        if thread is not None and thread.pause(ANSWER_SECONDS):
            self._paused.append(thread)

    def go_on(self) -> None:
        """Go on after a pause."""
        if self._paused:
            self._paused.pop().go_on()

    def _at_once(self, call: Callable[[Store], T], fallback: Callable[[], T]) -> T:
        try:
            return call(self._store)
        except Exception as error:
            log_once("store", "The store of the health checks failed.", error)
            return fallback()

    def _working_thread(self) -> StoreThread | None:
        thread = self._thread
        if thread is not None and thread.seconds_busy() <= STUCK_SECONDS:
            return thread
        with self._lock:
            self._stuck = [other for other in self._stuck if other.seconds_busy()]
            if self._closed or self._thread is not thread:
                return self._thread
            if thread is not None and len(self._stuck) >= MOST_STUCK:
                return None
            store = self._store if thread is None else self._create()
            new = StoreThread(store, up=lambda: self.up, tick=self._tick, lost=self._lost, clock=self._clock)
            self._thread = new
            try:
                new.start()
            except RuntimeError:
                self._thread = thread
                return None
            if thread is not None:
                thread.leave()
                self._stuck.append(thread)
            self._store = store
            return new

    def _watch(self, store_call: StoreCall[T], thread: StoreThread, seconds: float) -> None:
        try:
            self._timers.call_later(seconds, lambda: self._overdue(store_call, thread))
        except RuntimeError:  # nobody would keep the deadline
            store_call.give_up()

    def _overdue(self, store_call: StoreCall[T], thread: StoreThread) -> None:
        """Go on without the store if it has not answered for too long; queueing behind other errands is no fault."""
        if store_call.is_told:
            return
        left = ANSWER_SECONDS - thread.seconds_busy()
        if left > 0 and self._thread is thread:
            self._watch(store_call, thread, left)
            return
        if thread.is_at_store:
            self._lost(thread, StoreError(f"{self.describe()} does not answer"))
        store_call.give_up()

    def _lost(self, thread: StoreThread, error: Exception) -> None:
        """Go on alone, and say so once; what happens to a thread that was left behind says nothing."""
        if thread is not self._thread:
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

    def _tick(self, thread: StoreThread) -> None:
        """Come back to the store if it can be used again, and bring it what it lacks."""
        with self._untraced():
            self._return_to(thread.store)

    def _return_to(self, store: Store) -> None:
        store.probe()
        self._note_draining(store)
        if store.draining is None and self._draining:
            store.drain(True, unless_said=True)  # it lost what it knew
        changed = store.generation != self._generation
        if self.up and not changed and self._backlog.is_empty:
            return
        if self._contribute(store, everything=changed and self._generation is not None):
            self._generation = store.generation
        with self._lock:
            is_back = bool(self.trouble) and self._backlog.is_empty
            if is_back:
                self.trouble = ""
        if is_back:
            logger.info("The store of the health checks is back: %s.", self.describe())

    def _note_draining(self, store: Store) -> None:
        if store is not self._store:  # that of a thread that was left behind
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
        unsent_now = self._backlog.take()
        publications = self._backlog.publications(unsent_now, everything=everything)
        try:
            store.release(unsent_now.leases)
            if everything and publications:
                store.settle_at(self._clock.now() + SETTLE_SECONDS)
            asked = self._clock.monotonic()
            entries = self._as_of(asked, store.publish(publications))
        except BaseException:
            self._backlog.put_back(unsent_now)
            raise
        for publication, entry in zip(publications, entries, strict=True):
            if not entry.accepted:
                self._backlog.count(publication.key, publication.unsent)
            self._backlog.note(publication.key, entry)
            self._adopt(publication.key, entry)
        return all(entry.accepted for entry in entries)

    def _as_of(self, moment: float, entries: list[StoreEntry]) -> list[StoreEntry]:
        """Return entries that count from a moment on the monotonic clock, when asking began: it may take a while."""
        return [dataclasses.replace(entry, as_of=moment) for entry in entries] if self.shared else entries


def _without_store(query: Query) -> StoreEntry:
    return StoreEntry(lease=None if query.lease_seconds is None else Lease(key=query.key, token=NO_STORE))
