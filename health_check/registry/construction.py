"""The construction of checks: each once, in the background, and again where it failed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from health_check.backends import HealthCheck
from health_check.concurrency.futures import Future
from health_check.logs import log_once
from health_check.registry.definitions import Definition, problem_of
from health_check.registry.entries import CheckEntry, NamelessError, from_instance, parse, unconstructed, unusable_entry
from health_check.registry.policies import EntryError

RETRY_SECONDS = 10.0
"""How long after a construction failed it is tried again."""

Start = Callable[[Future[Definition], Callable[[], Definition]], None]
"""Settles a future by calling a function, on another thread where there may be some."""


class Item:
    """An item of an endpoint, and what it is as far as that is known; the lock of its owner guards it.

    Its module is imported at once. Until its check is constructed, its class and its options stand for it.

    Args:
        item: The item, as it stands in ``checks`` or comes from ``get_plugins``.
    """

    def __init__(self, item: object) -> None:
        self.item = item
        self.entry: CheckEntry | None = None
        """What is constructed; None where there is nothing to construct."""
        self.is_instance = False
        self.definition = self._first()
        """What it is."""
        self.future: Future[Definition] | None = None
        """Its construction while that is under way."""
        self._limit = math.inf
        self.retry_at = math.inf
        """When to construct it again, on the catalogue's clock."""
        self._is_new = self.entry is not None

    @property
    def is_awaited(self) -> bool:
        """Whether who shows its check waits for its construction."""
        return self._is_new or (self.future is not None and time.monotonic() < self._limit)

    def claim(self, seconds: float, now: float = -math.inf) -> bool:
        """Note that its construction begins, if it is to; then it is up to the caller to start that.

        Args:
            seconds: For how many seconds to wait for it.
            now: The time on the catalogue's clock, to begin it again where it is time for that.
        """
        if self.future is not None or not (self._is_new or self.retry_at <= now):
            return False
        self._limit = time.monotonic() + (seconds if self._is_new else 0.0)
        self._is_new, self.retry_at = False, math.inf
        self.future = Future()
        return True

    def start(self, start: Start) -> None:
        """Construct it."""
        if self.future is not None and self.entry is not None:
            start(self.future, self.entry.define)

    def wait(self) -> None:
        """Wait for its construction, as long as it may take."""
        future = self.future
        if future is not None:
            future.wait(self._limit - time.monotonic())

    def adopt(self, now: float) -> bool:
        """Take over what its construction came to; return whether it is something else than before."""
        future, before = self.future, self.definition
        if future is None or not future.done():
            return False
        self.future = None
        error = future.exception()
        if error is None:
            self.definition = future.result()
        else:
            self.retry_at = now + RETRY_SECONDS
            failed = _logged(unconstructed(self.item, self.entry, error), error)
            if problem_of(failed) != problem_of(before):
                self.definition = failed
        return self.definition is not before

    def _first(self) -> Definition:
        key, check = self.item if isinstance(self.item, tuple | list) and len(self.item) == 2 else (None, self.item)
        try:
            if isinstance(check, HealthCheck):
                self.is_instance = True
                return from_instance(None if key is None else str(key), check)
            self.entry = parse(self.item)
        except Exception as error:
            return _logged(unusable_entry(self.item, error), error)
        return self.entry.unconstructed(f"{self.entry.path} is not constructed yet.")


def constructed(items: Iterable[object], start: Start, seconds: float, now: float) -> tuple[Item, ...]:
    """Return the items of an endpoint once they are constructed, at the same time, or have taken too long.

    Args:
        items: The items.
        start: Constructs a check.
        seconds: For how long to wait.
        now: The time on the catalogue's clock.
    """
    made = tuple(map(Item, items))
    for item in made:
        if item.claim(seconds):
            item.start(start)
    for item in made:
        item.wait()
        item.adopt(now)
    return made


def _logged(definition: Definition, error: BaseException) -> Definition:
    """Log why an item cannot be used, and return what stands for it."""
    problem = problem_of(definition)
    unexpected = error.__cause__ if isinstance(error, EntryError | NamelessError) else error
    log_once(problem, problem, None if isinstance(unexpected, ImportError) else unexpected, beside=True)
    return definition
