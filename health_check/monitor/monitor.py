"""The monitor: answers how checks are, seeing to it that those run whose last result is no longer fresh."""

from __future__ import annotations

import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

from health_check.concurrency.clock import Clock
from health_check.concurrency.threads import new_lock
from health_check.conf import settings
from health_check.logs import log_once
from health_check.monitor.inline import Desk
from health_check.monitor.notifications import Announcer, log_change
from health_check.monitor.record_cache import Pending, Slot, Slots
from health_check.monitor.reports import Reading
from health_check.monitor.waiter import Wanted, patience_of, reading_of
from health_check.records import Record, Result, State
from health_check.registry.definitions import Definition
from health_check.runner import observers
from health_check.runner.observers import Observers
from health_check.runner.run import GRACE_SECONDS, Round, Run
from health_check.runner.runner import Runner
from health_check.stores import LEASE_SECONDS, Entry, Key, Lease, Publication, Query, Store
from health_check.stores.client import ALONE, Keeper

SLOWEST_POLL_SECONDS = 0.05
"""How long to wait at most before looking again for what another process is about to publish."""

Starter = Callable[[Sequence[Run]], None]


@dataclasses.dataclass(kw_only=True)
class Found:
    """What is to be done after a look at the store."""

    answered: list[tuple[Pending, Record | None]] = dataclasses.field(default_factory=list)
    """Who has what they wait for."""
    runs: list[Run] = dataclasses.field(default_factory=list)
    """What to run here."""
    failing: bool = False
    """Whether any of that was not ok when it ran last."""
    again: list[Slot] = dataclasses.field(default_factory=list)
    """What another process runs."""
    spare: list[Lease] = dataclasses.field(default_factory=list)
    """Leases that are not needed any more."""


class Monitor:
    """Read checks: each is run once for all who ask while its result is fresh, in this process and in others.

    Args:
        create_store: Makes the store of the records.
        runner: Runs the checks.
        clock: Tells the time.
    """

    def __init__(self, create_store: Callable[[], Store], runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._timers = runner.timers
        self.keeper = Keeper(create_store, clock, runner.timers, self._adopt_late, observers.untraced)
        self._lock = new_lock()
        self._slots = Slots()
        self._announcer = Announcer()
        self.stamp = 0
        """Another number whenever a record has changed."""

    def read(
        self,
        definitions: Iterable[Definition],
        *,
        wait: float | None = None,
        force: bool = False,
        here: bool | None = None,
    ) -> tuple[Reading, ...]:
        """Return the checks as they are now, after running those whose result is not fresh.

        Args:
            definitions: The checks.
            wait: For how many seconds to wait at most; the default is as long as the slowest check may take.
            force: Run every check, fresh or not.
            here: Run in the calling thread, without deadline; default if ``MAX_CONCURRENCY`` is 0.
        """
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        limit = self._clock.monotonic() + patience_of(definitions, wait)
        here = settings.MAX_CONCURRENCY == 0 if here is None else here
        if here:
            wanted = self._read_here(definitions, force, limit)
        else:
            wanted = self._begin(definitions, force, limit, self._start)
            for item in wanted:
                while item.pending is not None and (left := item.seconds_left(self._clock.monotonic())) > 0:
                    item.pending.future.wait(left)
        _tell_who_was_waited_for(wanted)
        return tuple(item.reading(self._clock.now()) for item in wanted)

    async def aread(
        self, definitions: Iterable[Definition], *, wait: float | None = None, force: bool = False
    ) -> tuple[Reading, ...]:
        """Return the checks as ``read`` does, without blocking the event loop."""
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        limit = self._clock.monotonic() + patience_of(definitions, wait)
        wanted = self._begin(definitions, force, limit, self._start)
        for item in wanted:
            while item.pending is not None and (left := item.seconds_left(self._clock.monotonic())) > 0:
                await item.pending.future.wait_on_loop(left)
        _tell_who_was_waited_for(wanted)
        return tuple(item.reading(self._clock.now()) for item in wanted)

    def trigger(self, definitions: Iterable[Definition]) -> None:
        """See to it that checks run that are due, without waiting for them.

        They may be due a little before their results expire: the new ones are published when they do.
        """
        self._begin(tuple(definitions), False, 0.0, self._start, early=True)

    def next_run_at(self, definition: Definition) -> float:
        """Return when to run a check so that its outcome is there as its result expires, on the monotonic clock."""
        slot = self._slots.get(definition.label)
        return slot.fresh_until - slot.lead if slot is not None else float("-inf")

    def fresh(self, definitions: Sequence[Definition]) -> tuple[tuple[Reading, ...], float] | None:
        """Return the checks if all results are fresh, as they are for most readers, and until when they are.

        The latter is on the monotonic clock. Takes no lock; ``stamp`` is another one if anything changes meanwhile.
        """
        now = self._clock.monotonic()
        until = math.inf
        readings = []
        for definition in definitions:
            slot = self._slots.get(definition.label)
            if slot is None or slot.definition is not definition or slot.fresh_until <= now or slot.record is None:
                return None
            readings.append(reading_of(slot, slot.record))
            until = min(until, slot.fresh_until)
        return tuple(readings), until

    def _read_here(self, definitions: Sequence[Definition], force: bool, limit: float) -> list[Wanted]:
        """Begin to read, run what this process has to run in this thread, and wait for what others run."""
        desk = Desk()
        try:
            wanted = self._begin(definitions, force, limit, lambda runs: self._put_on(desk, runs))
            for item in wanted:
                if item.pending is not None:
                    item.pending.future.on_done(desk.ring)
            while True:
                news = desk.news
                while (run := desk.take()) is not None:
                    self._runner.run_inline(run)
                now = self._clock.monotonic()
                left = max((item.seconds_left(now) for item in wanted), default=0.0)
                if left <= 0:
                    return wanted
                news.wait(left)
        finally:
            for run in desk.leave():  # Ctrl-C during a run in this thread, say: nobody shall wait for the others
                run.fail_to_start(RuntimeError("interrupted"))
                run.end()

    def _put_on(self, desk: Desk, runs: Sequence[Run]) -> None:
        if not desk.put(runs):
            self._start(runs)

    def _start(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._runner.start(run)

    def _begin(
        self, definitions: Sequence[Definition], force: bool, limit: float, start: Starter, *, early: bool = False
    ) -> list[Wanted]:
        """Look at every check, and ask the store for each that is not fresh and was not asked for yet."""
        wanted: list[Wanted] = []
        asked: list[Slot] = []
        strangers = self._slots.strangers(definitions)
        ages = [definition.max_age for definition in definitions]
        patience = settings.WAIT
        with self._lock:
            now = self._clock.monotonic()
            forgotten = self._slots.forget_some(now)
            for definition, max_age in zip(definitions, ages, strict=True):
                slot = self._slots.of(definition, strangers)
                if slot.is_fresh(now + slot.lead if early else now) and not force:
                    wanted.append(Wanted(slot=slot, fresh=slot.record))
                    continue
                if slot.pending is None:
                    slot.pending = Pending(force=force, lead=slot.lead if early else 0.0)
                    asked.append(slot)
                wanted.append(
                    Wanted(
                        slot=slot,
                        pending=slot.pending,
                        arrived=now,
                        patient_until=min(limit, now + patience),
                        limit=limit,
                        max_age=max_age,
                        force=force,
                    )
                )
        if forgotten:
            self.keeper.forget(forgotten)
        if asked:
            try:
                self._ask(asked, contextvars.copy_context(), start)
            except Exception as error:
                log_once("monitor", "The health checks could not be looked at.", error)
                self._give_up(asked)
        return wanted

    def _give_up(self, slots: Sequence[Slot]) -> None:
        """Leave nobody waiting for what nobody will do."""
        with self._lock:
            given_up = [slot.pending for slot in slots if slot.pending is not None and slot.pending.run is None]
            for slot in slots:
                slot.pending = None if slot.pending in given_up else slot.pending
        for pending in given_up:
            pending.future.set_result(None)

    def _ask(self, slots: Sequence[Slot], context: contextvars.Context, start: Starter) -> None:
        """Ask the store, and begin to run what it gives the lease of."""
        private = [slot for slot in slots if slot.is_private]
        if private:
            self._looked(private, [_granted(slot.key) for slot in private], context, start)
        shared = [slot for slot in slots if not slot.is_private]
        if shared:
            queries = [self._query(slot) for slot in shared]
            self.keeper.look(queries, lambda entries: self._looked(shared, entries, context, start))

    def _query(self, slot: Slot) -> Query:
        definition, pending = slot.definition, slot.pending
        return Query(
            key=slot.key,
            backend=definition.backend,
            lease_seconds=None if slot.is_stuck else definition.timeout + GRACE_SECONDS + LEASE_SECONDS,
            force=pending is not None and pending.force,
            seen=pending.seen if pending is not None else None,
            lead=pending.lead if pending is not None else 0.0,
        )

    def _looked(
        self, slots: Sequence[Slot], entries: Sequence[Entry], context: contextvars.Context, start: Starter
    ) -> None:
        """Take what the store knows: show it, run the check, or look again while another process runs it."""
        found = Found()
        with self._lock:
            for slot, entry in zip(slots, entries, strict=True):
                self._sort(slot, entry, found)
        self.keeper.release(found.spare)
        for pending, record in found.answered:
            pending.future.set_result(record)
        if found.runs:
            observers = context.copy().run(Observers, failing=found.failing)
            round_ = Round(observers, len(found.runs))
            for run in found.runs:
                run.join(round_)
            start(found.runs)
        if found.again:
            self._look_again(found.again, context, start)

    def _sort(self, slot: Slot, entry: Entry, found: Found) -> None:
        """Find out what to do about one check; called with the lock held."""
        pending = slot.pending
        self._adopt(slot, entry)
        if entry.lease is not None and (pending is None or slot.is_stuck):  # since the store was asked
            found.spare.append(entry.lease)
        if pending is None:
            return
        if entry.lease is not None and not slot.is_stuck:
            pending.run = slot.run = self._new_run(slot, pending, entry.lease)
            found.runs.append(slot.run)
            found.failing |= slot.record is not None and slot.record.result.state is not State.OK
        elif entry.suffices(dataclasses.replace(self._query(slot), lead=0.0)):
            slot.pending = None
            found.answered.append((pending, entry.record))
        elif slot.is_stuck:
            slot.pending = None
            found.answered.append((pending, None))
        else:
            pending.note(entry)
            found.again.append(slot)

    def _look_again(self, slots: Sequence[Slot], context: contextvars.Context, start: Starter) -> None:
        """Look again in a moment: another process is about to publish."""
        looks = max((slot.pending.looks for slot in slots if slot.pending is not None), default=0)
        seconds = min(SLOWEST_POLL_SECONDS, self.keeper.poll_seconds * 1.3**looks)
        self._timers.call_later(seconds, lambda: self._ask(slots, context, start))

    def _new_run(self, slot: Slot, pending: Pending, lease: Lease) -> Run:
        return Run(
            slot.definition,
            outcome=pending.future,
            decided=self._decided,
            ended=self._ended,
            lease=lease,
            clock=self._clock,
        )

    def _decided(self, run: Run, result: Result, traceback: str) -> None:
        """Publish the outcome of a run, unless it was outrun."""
        slot = self._slots.get(run.definition.label)
        if slot is None or slot.run is not run:
            self.keeper.release([run.lease])
            run.outcome.set_result(Record.after(None, result, max_age=0))
            return
        left = slot.fresh_until - self._clock.monotonic()
        if left > 0 and slot.is_early:  # a record that others show as fresh is not replaced
            self._timers.call_later(left, lambda: self._decided(run, result, traceback))
            return
        publication = Publication(key=slot.key, lease=run.lease, result=result, max_age=slot.definition.max_age)
        previous = slot.record
        if slot.is_private:
            record = Record.after(previous, result, max_age=publication.max_age)
            self._published(run, previous, traceback, Entry(record=record, fresh_for=record.max_age))
        else:
            self.keeper.publish(publication, lambda entry: self._published(run, previous, traceback, entry))

    def _published(self, run: Run, previous: Record | None, traceback: str, entry: Entry) -> None:
        """Show what is known after a run, which is its outcome unless another process was first."""
        with self._lock:
            slot = self._slots.get(run.definition.label)
            if slot is not None and slot.run is run:
                self._adopt(slot, entry)
                run.is_recorded = True
                if slot.pending is not None and slot.pending.run is run:
                    slot.pending = None
                if run.is_over or not run.timed_out:
                    slot.run = None
        is_known = entry.record is not None and entry.record.result.backend == run.definition.backend
        try:
            if entry.record is not None and entry.accepted:
                log_change(run.definition, previous, entry.record, traceback, within=run.observer.attach)
                self._announcer.announce(run.definition, previous, entry.record)
        finally:
            run.outcome.set_result(entry.record if is_known and (entry.accepted or entry.fresh_for > 0) else None)

    def _ended(self, run: Run) -> None:
        with self._lock:
            run.is_over = True
            slot = self._slots.get(run.definition.label)
            if slot is not None and slot.run is run and run.is_recorded:
                slot.run = None

    def _adopt(self, slot: Slot, entry: Entry) -> None:
        """Make what the store knows what this process knows; called with the lock held."""
        if entry.record is None or (entry.record.result.backend != slot.definition.backend):
            return
        slot.record = entry.record
        slot.fresh_until = (self._clock.monotonic() if entry.as_of is None else entry.as_of) + entry.fresh_for
        self.stamp += 1  # last, and only here: who has read the number before reads again

    def _adopt_late(self, key: Key, entry: Entry) -> None:
        with self._lock:
            slot = self._slots.get(key.label)
            if slot is not None and slot.key == key and not slot.is_private:
                self._adopt(slot, entry)


def _tell_who_was_waited_for(wanted: Iterable[Wanted]) -> None:
    runs = [item.pending.run for item in wanted if item.pending is not None and item.pending.run is not None]
    for observer in {id(run.round_observer): run.round_observer for run in runs}.values():
        observer.waited()


def _granted(key: Key) -> Entry:
    return Entry(lease=Lease(key=key, token=ALONE))
