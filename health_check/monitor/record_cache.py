"""What this process knows of each check, and whose outcome it waits for."""

from __future__ import annotations

from collections.abc import Container, Iterable

from health_check.concurrency.futures import Future
from health_check.records import Message, Record, unavailable
from health_check.registry.definitions import Definition
from health_check.runner.run import Run
from health_check.stores import Entry, Key

MOST_SLOTS = 5000
"""How many checks to know at once; beyond that those that nobody reads any more are forgotten."""


class Pending:
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

    def note(self, entry: Entry) -> None:
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


class Slot:
    """What this process knows of one check."""

    __slots__ = ("definition", "fresh_until", "is_private", "key", "pending", "record", "run")

    def __init__(self, definition: Definition, *, is_private: bool) -> None:
        self.definition = definition
        self.key = Key(label=definition.label, scope=definition.scope)
        self.record: Record | None = None
        self.fresh_until = float("-inf")
        self.run: Run | None = None
        self.pending: Pending | None = None
        self.is_private = is_private
        """Whether the store has another check under this label."""

    @property
    def is_stuck(self) -> bool:
        """Whether a run was given up and still goes on."""
        return self.run is not None and self.run.is_stuck

    @property
    def is_early(self) -> bool:
        """Whether a run began before the record expired."""
        return self.pending is not None and self.pending.lead > 0

    @property
    def lead(self) -> float:
        """How long before its record expires a run has to start so as to end then, as it seems, in seconds."""
        return min(self.record.result.time_taken, self.definition.timeout) if self.record is not None else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for it, and nothing goes on."""
        return self.run is None and self.pending is None

    def is_fresh(self, now: float) -> bool:
        """Tell whether the record is fresh, at a moment of the monotonic clock."""
        return self.fresh_until > now and self.record is not None


class Slots:
    """Know checks by their labels."""

    def __init__(self) -> None:
        self._by_label: dict[str, Slot] = {}

    def __len__(self) -> int:
        return len(self._by_label)

    def get(self, label: str) -> Slot | None:
        """Return the slot of a label, if there is one."""
        return self._by_label.get(label)

    def strangers(self, definitions: Iterable[Definition]) -> set[int]:
        """Return which definitions mean another check than is known by their label.

        Called without a lock, as comparing options runs code of the user's.
        """
        known = [(definition, self.get(definition.label)) for definition in definitions]
        return {
            id(definition)
            for definition, slot in known
            if slot is not None and slot.definition is not definition and not slot.definition.same_check(definition)
        }

    def of(self, definition: Definition, strangers: Container[int]) -> Slot:
        """Return the slot of a check, a new one where the label meant another check before."""
        slot = self.get(definition.label)
        if slot is None:
            slot = self._by_label[definition.label] = Slot(definition, is_private=False)
        elif id(definition) in strangers and not slot.is_stuck:  # one label has one thread that hangs
            is_private = slot.is_private or slot.definition.backend == definition.backend
            slot = self._by_label[definition.label] = Slot(definition, is_private=is_private)
        slot.definition = definition
        return slot

    def forget_some(self, now: float) -> list[Key]:
        """Forget checks that nobody reads any more, as labels may come from requests; return their keys."""
        if len(self) < MOST_SLOTS:
            return []
        old = [slot for slot in self._by_label.values() if slot.is_idle and slot.fresh_until <= now]
        for slot in old:
            del self._by_label[slot.definition.label]
        return [slot.key for slot in old]
