"""What this process knows of each check, and the refresh that is under way for it."""

from __future__ import annotations

import collections
import contextvars
import dataclasses
from collections.abc import Container, Iterable, Iterator

from health_check.concurrency.futures import Future
from health_check.concurrency.threads import new_lock
from health_check.records import Message, Record, unavailable
from health_check.registry.definitions import Definition
from health_check.runner.run import GRACE_SECONDS, Run
from health_check.stores import Key, Lease, StoreEntry

MOST_CACHED = 5000
"""How many checks to know at once; beyond that those that nobody reads any more are forgotten."""

NO_STORE = ""
"""The token of the lease that a process gives itself where it does not ask the store."""


class Flight:
    """A check that is being refreshed, for all who ask meanwhile: this process runs it, or another one does."""

    __slots__ = (
        *("cached", "force", "future", "held_since", "lead", "lease", "looks", "max_age"),
        *("previous", "refresh", "run", "seen", "timeout"),
    )

    def __init__(self, cached: CachedRecord, refresh: Refresh, *, timeout: float, max_age: float, force: bool) -> None:
        self.cached = cached
        self.refresh = refresh
        self.timeout = timeout
        """The budget of its run, in seconds."""
        self.max_age = max_age
        """For how many seconds its record will be fresh."""
        self.future: Future[Record | None] = Future()
        """The record to show; None where there is none. An exception is what kept the refresh from its end."""
        self.force = force
        self.lead = 0.0
        """How many seconds before the record expires its run began, at most."""
        self.seen: str | None = None
        """The id of the result that the store had when another process was seen to run the check."""
        self.lease: Lease | None = None
        self.previous: Record | None = None
        """The record that the store had when the lease was taken."""
        self.run: Run | None = None
        self.held_since: float | None = None
        self.looks = 0

    def note(self, entry: StoreEntry) -> None:
        """Note what the store says while another process has the lease."""
        if not self.looks:
            self.seen = entry.record.result_id if entry.record is not None else ""
        self.looks += 1
        self.held_since = entry.held_since

    @property
    def is_at_store(self) -> bool:
        """Whether the store has yet to say what is known of the check, and who runs it."""
        return self.run is None and not self.looks

    def is_queued(self, now: float) -> bool:
        """Return whether the check waits for a free thread or had to, here or, as it seems, where else it is run.

        Args:
            now: Unix time in seconds.
        """
        if self.run is not None:
            return self.run.was_queued
        return self.held_since is not None and now - self.held_since > self.timeout + GRACE_SECONDS

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


@dataclasses.dataclass(kw_only=True, eq=False)
class Refresh:
    """The checks that are refreshed together, and how far that is."""

    context: contextvars.Context
    """The context of who asked."""
    inline: bool = False
    """Whether checks run in the thread that goes through the steps."""
    flights: list[Flight] = dataclasses.field(default_factory=list)
    """The checks."""
    steps: Iterator[float] = dataclasses.field(default_factory=lambda: iter(()))
    """Goes on with it, and yields when to go on at the latest, on the monotonic clock."""
    arrived: collections.deque[Run] = dataclasses.field(default_factory=collections.deque)
    """The runs that have their outcome, and were not seen to yet."""
    is_due: bool = False
    """Whether its next step was asked for."""
    is_given_up: bool = False
    """Whether it hangs at the store, and another one has its checks."""
    wake_at: float = float("inf")
    """When it is to go on, if nothing arrives before."""


class CachedRecord:
    """What this process knows of one check."""

    __slots__ = ("definition", "flight", "fresh_until", "is_alone", "is_private", "key", "record", "run")

    def __init__(self, definition: Definition, *, is_private: bool) -> None:
        self.definition = definition
        self.key = Key(label=definition.label, scope=definition.scope)
        self.record: Record | None = None
        self.fresh_until = float("-inf")
        self.run: Run | None = None
        self.flight: Flight | None = None
        self.is_alone = False
        """Whether the record was made while the store could not be used: when it is back, that has another one."""
        self.is_private = is_private
        """Whether the store has another check under this label."""

    @property
    def is_stuck(self) -> bool:
        """Whether a run was given up and still goes on."""
        return self.run is not None and self.run.is_stuck

    @property
    def lead(self) -> float:
        """How long before its record expires a run has to start so as to end then, as it seems, in seconds."""
        return min(self.record.result.time_taken, self.definition.timeout) if self.record is not None else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for it, and nothing goes on."""
        return self.run is None and self.flight is None

    def is_fresh(self, now: float) -> bool:
        """Return whether the record is fresh, at a moment of the monotonic clock."""
        return self.fresh_until > now and self.record is not None


class RecordCache:
    """Know checks by their labels.

    The lock guards what is known and which refresh is under way for each check. It is held for moments.
    """

    def __init__(self) -> None:
        self._by_label: dict[str, CachedRecord] = {}
        self.lock = new_lock()
        self.stamp = 0
        """Another number whenever a record has changed."""

    def __len__(self) -> int:
        return len(self._by_label)

    def get(self, label: str) -> CachedRecord | None:
        """Return what is known of a label, if anything is."""
        return self._by_label.get(label)

    def redefined(self, definitions: Iterable[Definition]) -> set[int]:
        """Return which definitions mean another check than is known by their label.

        Called without a lock, as comparing options runs code of the user's.
        """
        redefined = set()
        for definition in definitions:
            cached = self._by_label.get(definition.label)
            if cached is None or cached.definition is definition or cached.definition.same_check(definition):
                continue
            redefined.add(id(definition))
        return redefined

    def of(self, definition: Definition, redefined: Container[int]) -> CachedRecord:
        """Return what is known of a check, from scratch where the label meant another check before."""
        cached = self._by_label.get(definition.label)
        if cached is None:
            cached = self._by_label[definition.label] = CachedRecord(definition, is_private=False)
        elif id(definition) in redefined and not cached.is_stuck:  # one label has one thread that hangs
            is_private = cached.is_private or cached.definition.backend == definition.backend
            cached = self._by_label[definition.label] = CachedRecord(definition, is_private=is_private)
        cached.definition = definition
        return cached

    def expire(self, now: float) -> None:
        """Have all be looked for in the store again; called with the lock held."""
        for cached in self._by_label.values():
            cached.fresh_until = min(cached.fresh_until, now)
        self.stamp += 1

    def forget_some(self, now: float) -> list[Key]:
        """Forget checks that nobody reads any more, as labels may come from requests; return their keys."""
        if len(self._by_label) < MOST_CACHED:
            return []
        old = [cached for cached in self._by_label.values() if cached.is_idle and cached.fresh_until <= now]
        for cached in old:
            del self._by_label[cached.definition.label]
        return [cached.key for cached in old]

    def adopt(self, cached: CachedRecord, record: Record | None, fresh_until: float, *, is_alone: bool = False) -> None:
        """Make what the store knows what this process knows; called with the lock held."""
        if record is None or record.result.backend != cached.definition.backend:
            return
        cached.record = record
        cached.fresh_until = fresh_until
        cached.is_alone = is_alone
        self.stamp += 1  # last, and only here: who has read the number before reads again
