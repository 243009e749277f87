"""What this process knows of each check, and whose outcome it waits for."""

from __future__ import annotations

from collections.abc import Container, Iterable

from health_check.concurrency.futures import Future
from health_check.records import Message, Record, unavailable
from health_check.registry.definitions import Definition
from health_check.runner.run import Run
from health_check.stores import Key, StoreEntry

MOST_CACHED = 5000
"""How many checks to know at once; beyond that those that nobody reads any more are forgotten."""


class Flight:
    """The next record of a check, which somebody asked for: this process runs it, or another one does."""

    __slots__ = ("force", "future", "held_since", "lead", "looks", "run", "seen")

    def __init__(self, *, force: bool, lead: float) -> None:
        self.future: Future[Record | None] = Future()
        self.seen: str | None = None
        self.force = force
        self.lead = lead
        self.run: Run | None = None
        self.held_since: float | None = None
        self.looks = 0

    def note(self, entry: StoreEntry) -> None:
        """Note what the store says while another process has the lease."""
        if not self.looks:
            self.seen = entry.record.result_id if entry.record is not None else ""
        self.looks += 1
        self.held_since = entry.held_since

    def waiting_for(self, now: float) -> Message:
        """Return what a reader that cannot wait any longer says of it.

        Args:
            now: Unix time in seconds.
        """
        if self.run is not None:
            return self.run.waiting_for()
        if self.held_since is not None:
            return unavailable(f"still running, started {max(0.0, now - self.held_since):.0f} s ago")
        return unavailable("no result yet")


class CachedRecord:
    """What this process knows of one check."""

    __slots__ = ("definition", "flight", "fresh_until", "is_private", "key", "record", "run")

    def __init__(self, definition: Definition, *, is_private: bool) -> None:
        self.definition = definition
        self.key = Key(label=definition.label, scope=definition.scope)
        self.record: Record | None = None
        self.fresh_until = float("-inf")
        self.run: Run | None = None
        self.flight: Flight | None = None
        self.is_private = is_private
        """Whether the store has another check under this label."""

    @property
    def is_stuck(self) -> bool:
        """Whether a run was given up and still goes on."""
        return self.run is not None and self.run.is_stuck

    @property
    def is_early(self) -> bool:
        """Whether a run began before the record expired."""
        return self.flight is not None and self.flight.lead > 0

    @property
    def lead(self) -> float:
        """How long before its record expires a run has to start so as to end then, as it seems, in seconds."""
        return min(self.record.result.time_taken, self.definition.timeout) if self.record is not None else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for it, and nothing goes on."""
        return self.run is None and self.flight is None

    def is_fresh(self, now: float) -> bool:
        """Tell whether the record is fresh, at a moment of the monotonic clock."""
        return self.fresh_until > now and self.record is not None


class RecordCache:
    """Know checks by their labels."""

    def __init__(self) -> None:
        self._by_label: dict[str, CachedRecord] = {}

    def __len__(self) -> int:
        return len(self._by_label)

    def get(self, label: str) -> CachedRecord | None:
        """Return what is known of a label, if anything is."""
        return self._by_label.get(label)

    def redefined(self, definitions: Iterable[Definition]) -> set[int]:
        """Return which definitions mean another check than is known by their label.

        Called without a lock, as comparing options runs code of the user's.
        """
        known = [(definition, self.get(definition.label)) for definition in definitions]
        return {
            id(definition)
            for definition, cached in known
            if cached is not None
            and cached.definition is not definition
            and not cached.definition.same_check(definition)
        }

    def of(self, definition: Definition, redefined: Container[int]) -> CachedRecord:
        """Return what is known of a check, from scratch where the label meant another check before."""
        cached = self.get(definition.label)
        if cached is None:
            cached = self._by_label[definition.label] = CachedRecord(definition, is_private=False)
        elif id(definition) in redefined and not cached.is_stuck:  # one label has one thread that hangs
            is_private = cached.is_private or cached.definition.backend == definition.backend
            cached = self._by_label[definition.label] = CachedRecord(definition, is_private=is_private)
        cached.definition = definition
        return cached

    def forget_some(self, now: float) -> list[Key]:
        """Forget checks that nobody reads any more, as labels may come from requests; return their keys."""
        if len(self) < MOST_CACHED:
            return []
        old = [cached for cached in self._by_label.values() if cached.is_idle and cached.fresh_until <= now]
        for cached in old:
            del self._by_label[cached.definition.label]
        return [cached.key for cached in old]
