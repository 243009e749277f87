"""The batch: outcomes that are published together, those that come while the store is busy with others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from health_check.logs import log_error
from health_check.stores import Entry, Publication
from health_check.threads import new_lock


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One outcome, and who waits for it to be published."""

    publication: Publication
    """The outcome."""
    done: Callable[[Entry], None]
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

    def tell(self, entries: Iterable[Entry]) -> None:
        """Tell who waits for each outcome what is known."""
        for item, entry in zip(self.take(), entries, strict=True):
            try:
                item.done(entry)
            except Exception as error:  # of one who waits, which is no reason to leave the others waiting
                log_error("An outcome that was published could not be used.", error)
