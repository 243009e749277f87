"""The thread that works with the store, the calls it is given, and outcomes that are published together."""

from __future__ import annotations

import dataclasses
import functools
import queue
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_connections
from health_check.concurrency.threads import new_lock, new_queue, start
from health_check.logs import log_error
from health_check.stores import Publication, Store, StoreEntry

T = TypeVar("T")

TICK_SECONDS = 1.0
"""How often to see whether the store is still the one it was, or is back."""


class StoreCall(Generic[T]):
    """Something to do with the store: done there, or without it after a while, but told of once.

    Args:
        work: Does it.
        done: Hears what came of it.
        alone: Does it without the store.
        late: Hears what came of it when ``done`` has heard something else.
    """

    def __init__(
        self,
        call: Callable[[Store], T],
        *,
        on_result: Callable[[T], None],
        fallback: Callable[[], T],
        on_late_result: Callable[[T], None],
    ) -> None:
        self._call = call
        self._on_result = on_result
        self._without_store = fallback
        self._on_late_result = on_late_result
        self._lock = new_lock()
        self._told = False

    @property
    def is_told(self) -> bool:
        """Whether somebody was told of it."""
        return self._told

    def do(self, store: Store, worked: Callable[[], None]) -> None:
        """Do it, and tell of it.

        Args:
            store: The store.
            worked: Hears that the store has done its part.

        Raises:
            Exception: Whatever the store raises; then nobody was told.
        """
        value = self._call(store)
        worked()
        self._report(self._on_result if self._claim() else self._on_late_result, value)

    def give_up(self) -> None:
        """Do it without the store, unless it is done."""
        if self._claim():
            self._report(self._on_result, self._without_store())

    def _report(self, listener: Callable[[T], None], value: T) -> None:
        try:
            listener(value)
        except Exception as error:  # not the store's fault
            log_error("What the store of the health checks answered could not be used.", error)

    def _claim(self) -> bool:
        with self._lock:
            told, self._told = self._told, True
        return not told


class StoreThread:
    """Do errands one after the other on a thread of its own, and see to the store from time to time.

    Args:
        store: The store.
        up: Tells whether it is worth trying.
        tick: Sees to it; called each ``TICK_SECONDS``, and when it is another one than before.
        lost: Hears what the store raised.
        clock: Tells the time.
    """

    def __init__(
        self,
        store: Store,
        *,
        up: Callable[[], bool],
        tick: Callable[[StoreThread], None],
        lost: Callable[[StoreThread, Exception], None],
        clock: Clock,
    ) -> None:
        self.store = store
        self._up = up
        self._tick = tick
        self._lost = lost
        self._clock = clock
        self._calls: queue.SimpleQueue[StoreCall[Any] | None] = new_queue()
        self._busy = new_lock()
        self._busy_since: float | None = None
        self._is_at_store = False
        self._leaving = False
        self._generation: str | None = None

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: If that cannot be.
        """
        start(self._serve, "store")

    def send(self, store_call: StoreCall[T]) -> None:
        """Have a call made."""
        self._calls.put(store_call)

    def leave(self) -> None:
        """Have the thread end."""
        self._leaving = True
        self._calls.put(None)

    def seconds_busy(self) -> float:
        """Return for how long the thread has been at the call it is at; 0 if it is at none."""
        since = self._busy_since
        return 0.0 if since is None else self._clock.monotonic() - since

    @property
    def is_at_store(self) -> bool:
        """Whether the store is at work, and not who hears of the outcome."""
        return self._is_at_store

    def _worked(self) -> None:
        self._is_at_store = False

    def pause(self, seconds: float) -> bool:
        """Keep the thread from working with the store, after some seconds at most; return whether that worked."""
        return self._busy.acquire(timeout=seconds)

    def go_on(self) -> None:
        """Let it work again."""
        self._busy.release()

    def _serve(self) -> None:
        tick_at = self._clock.monotonic() + TICK_SECONDS
        while not self._leaving:
            store_call = self._next(tick_at)
            self._busy_since = self._clock.monotonic()
            self._is_at_store = True
            with self._busy:
                if store_call is not None and self._up():
                    self._guarded(functools.partial(store_call.do, self.store, self._worked))
                self._is_at_store = True
                if self._clock.monotonic() >= tick_at or self.store.generation != self._generation:
                    self._guarded(lambda: self._tick(self))
                    self._generation = self.store.generation
                    tick_at = self._clock.monotonic() + TICK_SECONDS
                close_connections()  # of a cache, or a log, that is kept in a database
            self._is_at_store = False
            if store_call is not None:
                store_call.give_up()
            self._busy_since = None
        self._guarded(self.store.close)

    def _next(self, tick_at: float) -> StoreCall[Any] | None:
        try:
            return self._calls.get(timeout=max(0.001, tick_at - self._clock.monotonic()))
        except queue.Empty:
            return None

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self._lost(self, error)
            try:
                self.store.close()
            except Exception as failure:
                log_error("The store of the health checks could not be closed.", failure)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One outcome, and who waits for it to be published."""

    publication: Publication
    """The outcome."""
    on_result: Callable[[StoreEntry], None]
    """Hears what is known then."""


class Batch:
    """Collect outcomes until they are taken; safe to use from many threads.

    Args:
        items: The first ones.
    """

    def __init__(self, *items: Item) -> None:
        self._lock = new_lock()
        self._items = list(items)
        self._is_taken = False

    def add(self, item: Item) -> bool:
        """Add an outcome; return False if those before were taken already."""
        with self._lock:
            if not self._is_taken:
                self._items.append(item)
            return not self._is_taken

    def take(self) -> list[Item]:
        """Return the outcomes, to which none is added from now on."""
        with self._lock:
            self._is_taken = True
            return self._items

    def tell(self, entries: Iterable[StoreEntry]) -> None:
        """Tell who waits for each outcome what is known."""
        for item, entry in zip(self.take(), entries, strict=True):
            try:
                item.on_result(entry)
            except Exception as error:  # of one who waits, which is no reason to leave the others waiting
                log_error("An outcome that was published could not be used.", error)
