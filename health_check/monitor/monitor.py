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
from health_check.monitor.inline import InlineRuns
from health_check.monitor.record_cache import CachedRecord, Flight, RecordCache
from health_check.monitor.reports import Reading
from health_check.monitor.state_changes import SignalSender, log_transition
from health_check.monitor.waiter import Waiter, patience_of, reading_of
from health_check.records import Record, Result, State
from health_check.registry.definitions import Definition
from health_check.runner import observers
from health_check.runner.observers import Observers
from health_check.runner.run import GRACE_SECONDS, Round, Run
from health_check.runner.runner import Runner
from health_check.stores import LEASE_SECONDS, Key, Lease, Publication, Query, Store, StoreEntry
from health_check.stores.client import NO_STORE, StoreClient

SLOWEST_POLL_SECONDS = 0.05
"""How long to wait at most before looking again for what another process is about to publish."""

Starter = Callable[[Sequence[Run]], None]


@dataclasses.dataclass(kw_only=True)
class Found:
    """What is to be done after a look at the store."""

    answered: list[tuple[Flight, Record | None]] = dataclasses.field(default_factory=list)
    """Who has what they wait for."""
    runs: list[Run] = dataclasses.field(default_factory=list)
    """What to run here."""
    failing: bool = False
    """Whether any of that was not ok when it ran last."""
    again: list[CachedRecord] = dataclasses.field(default_factory=list)
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
        self.store_client = StoreClient(create_store, clock, runner.timers, self._adopt_late, observers.untraced)
        self._lock = new_lock()
        self._records = RecordCache()
        self._signals = SignalSender()
        self.stamp = 0
        """Another number whenever a record has changed."""

    def read(
        self,
        definitions: Iterable[Definition],
        *,
        wait: float | None = None,
        force: bool = False,
        inline: bool | None = None,
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
        inline = settings.MAX_CONCURRENCY == 0 if inline is None else inline
        if inline:
            waiters = self._read_inline(definitions, force, limit)
        else:
            waiters = self._begin(definitions, force, limit, self._start)
            for item in waiters:
                while item.flight is not None and (left := item.seconds_left(self._clock.monotonic())) > 0:
                    item.flight.future.wait(left)
        _tell_who_was_waited_for(waiters)
        return tuple(item.reading(self._clock.now()) for item in waiters)

    async def aread(
        self, definitions: Iterable[Definition], *, wait: float | None = None, force: bool = False
    ) -> tuple[Reading, ...]:
        """Return the checks as ``read`` does, without blocking the event loop."""
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        limit = self._clock.monotonic() + patience_of(definitions, wait)
        waiters = self._begin(definitions, force, limit, self._start)
        for item in waiters:
            while item.flight is not None and (left := item.seconds_left(self._clock.monotonic())) > 0:
                await item.flight.future.wait_on_loop(left)
        _tell_who_was_waited_for(waiters)
        return tuple(item.reading(self._clock.now()) for item in waiters)

    def trigger(self, definitions: Iterable[Definition]) -> None:
        """See to it that checks run that are due, without waiting for them.

        They may be due a little before their results expire: the new ones are published when they do.
        """
        self._begin(tuple(definitions), False, 0.0, self._start, early=True)

    def next_run_at(self, definition: Definition) -> float:
        """Return when to run a check so that its outcome is there as its result expires, on the monotonic clock."""
        cached = self._records.get(definition.label)
        return cached.fresh_until - cached.lead if cached is not None else float("-inf")

    def fresh(self, definitions: Sequence[Definition]) -> tuple[tuple[Reading, ...], float] | None:
        """Return the checks if all results are fresh, as they are for most readers, and until when they are.

        The latter is on the monotonic clock. Takes no lock; ``stamp`` is another one if anything changes meanwhile.
        """
        now = self._clock.monotonic()
        until = math.inf
        readings = []
        for definition in definitions:
            cached = self._records.get(definition.label)
            if (
                cached is None
                or cached.definition is not definition
                or cached.fresh_until <= now
                or cached.record is None
            ):
                return None
            readings.append(reading_of(cached, cached.record))
            until = min(until, cached.fresh_until)
        return tuple(readings), until

    def _read_inline(self, definitions: Sequence[Definition], force: bool, limit: float) -> list[Waiter]:
        """Begin to read, run what this process has to run in this thread, and wait for what others run."""
        inline_runs = InlineRuns()
        try:
            waiters = self._begin(definitions, force, limit, lambda runs: self._put_on(inline_runs, runs))
            for item in waiters:
                if item.flight is not None:
                    item.flight.future.on_done(inline_runs.ring)
            while True:
                news = inline_runs.news
                while (run := inline_runs.take()) is not None:
                    self._runner.run_inline(run)
                now = self._clock.monotonic()
                left = max((item.seconds_left(now) for item in waiters), default=0.0)
                if left <= 0:
                    return waiters
                news.wait(left)
        finally:
            for run in inline_runs.leave():  # Ctrl-C during a run in this thread, say: nobody shall wait for the others
                run.fail_to_start(RuntimeError("interrupted"))
                run.end()

    def _put_on(self, inline_runs: InlineRuns, runs: Sequence[Run]) -> None:
        if not inline_runs.put(runs):
            self._start(runs)

    def _start(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._runner.start(run)

    def _begin(
        self, definitions: Sequence[Definition], force: bool, limit: float, start: Starter, *, early: bool = False
    ) -> list[Waiter]:
        """Look at every check, and ask the store for each that is not fresh and was not asked for yet."""
        waiters: list[Waiter] = []
        asked: list[CachedRecord] = []
        redefined = self._records.redefined(definitions)
        ages = [definition.max_age for definition in definitions]
        patience = settings.WAIT
        with self._lock:
            now = self._clock.monotonic()
            forgotten = self._records.forget_some(now)
            for definition, max_age in zip(definitions, ages, strict=True):
                cached = self._records.of(definition, redefined)
                if cached.is_fresh(now + cached.lead if early else now) and not force:
                    waiters.append(Waiter(cached=cached, fresh=cached.record))
                    continue
                if cached.flight is None:
                    cached.flight = Flight(force=force, lead=cached.lead if early else 0.0)
                    asked.append(cached)
                waiters.append(
                    Waiter(
                        cached=cached,
                        flight=cached.flight,
                        arrived=now,
                        patient_until=min(limit, now + patience),
                        limit=limit,
                        max_age=max_age,
                        force=force,
                    )
                )
        if forgotten:
            self.store_client.forget(forgotten)
        if asked:
            try:
                self._ask(asked, contextvars.copy_context(), start)
            except Exception as error:
                log_once("monitor", "The health checks could not be looked at.", error)
                self._give_up(asked)
        return waiters

    def _give_up(self, records: Sequence[CachedRecord]) -> None:
        """Leave nobody waiting for what nobody will do."""
        with self._lock:
            abandoned = [cached.flight for cached in records if cached.flight is not None and cached.flight.run is None]
            for cached in records:
                cached.flight = None if cached.flight in abandoned else cached.flight
        for flight in abandoned:
            flight.future.set_result(None)

    def _ask(self, records: Sequence[CachedRecord], context: contextvars.Context, start: Starter) -> None:
        """Ask the store, and begin to run what it gives the lease of."""
        private = [cached for cached in records if cached.is_private]
        if private:
            self._looked(private, [_granted(cached.key) for cached in private], context, start)
        shared = [cached for cached in records if not cached.is_private]
        if shared:
            queries = [self._query(cached) for cached in shared]
            self.store_client.look(queries, lambda entries: self._looked(shared, entries, context, start))

    def _query(self, cached: CachedRecord) -> Query:
        definition, flight = cached.definition, cached.flight
        return Query(
            key=cached.key,
            backend=definition.backend,
            lease_seconds=None if cached.is_stuck else definition.timeout + GRACE_SECONDS + LEASE_SECONDS,
            force=flight is not None and flight.force,
            seen=flight.seen if flight is not None else None,
            lead=flight.lead if flight is not None else 0.0,
        )

    def _looked(
        self,
        records: Sequence[CachedRecord],
        entries: Sequence[StoreEntry],
        context: contextvars.Context,
        start: Starter,
    ) -> None:
        """Take what the store knows: show it, run the check, or look again while another process runs it."""
        found = Found()
        with self._lock:
            for cached, entry in zip(records, entries, strict=True):
                self._sort(cached, entry, found)
        self.store_client.release(found.spare)
        for flight, record in found.answered:
            flight.future.set_result(record)
        if found.runs:
            observers = context.copy().run(Observers, failing=found.failing)
            round_ = Round(observers, len(found.runs))
            for run in found.runs:
                run.join(round_)
            start(found.runs)
        if found.again:
            self._look_again(found.again, context, start)

    def _sort(self, cached: CachedRecord, entry: StoreEntry, found: Found) -> None:
        """Find out what to do about one check; called with the lock held."""
        flight = cached.flight
        self._adopt(cached, entry)
        if entry.lease is not None and (flight is None or cached.is_stuck):  # since the store was asked
            found.spare.append(entry.lease)
        if flight is None:
            return
        if entry.lease is not None and not cached.is_stuck:
            flight.run = cached.run = self._new_run(cached, flight, entry.lease)
            found.runs.append(cached.run)
            found.failing |= cached.record is not None and cached.record.result.state is not State.OK
        elif entry.suffices(dataclasses.replace(self._query(cached), lead=0.0)):
            cached.flight = None
            found.answered.append((flight, entry.record))
        elif cached.is_stuck:
            cached.flight = None
            found.answered.append((flight, None))
        else:
            flight.note(entry)
            found.again.append(cached)

    def _look_again(self, records: Sequence[CachedRecord], context: contextvars.Context, start: Starter) -> None:
        """Look again in a moment: another process is about to publish."""
        looks = max((cached.flight.looks for cached in records if cached.flight is not None), default=0)
        seconds = min(SLOWEST_POLL_SECONDS, self.store_client.poll_seconds * 1.3**looks)
        self._timers.call_later(seconds, lambda: self._ask(records, context, start))

    def _new_run(self, cached: CachedRecord, flight: Flight, lease: Lease) -> Run:
        return Run(
            cached.definition,
            outcome=flight.future,
            decided=self._decided,
            ended=self._ended,
            lease=lease,
            clock=self._clock,
        )

    def _decided(self, run: Run, result: Result, traceback: str) -> None:
        """Publish the outcome of a run, unless it was outrun."""
        cached = self._records.get(run.definition.label)
        if cached is None or cached.run is not run:
            self.store_client.release([run.lease])
            run.outcome.set_result(Record.after(None, result, max_age=0))
            return
        left = cached.fresh_until - self._clock.monotonic()
        if left > 0 and cached.is_early:  # a record that others show as fresh is not replaced
            self._timers.call_later(left, lambda: self._decided(run, result, traceback))
            return
        publication = Publication(key=cached.key, lease=run.lease, result=result, max_age=cached.definition.max_age)
        previous = cached.record
        if cached.is_private:
            record = Record.after(previous, result, max_age=publication.max_age)
            self._published(run, previous, traceback, StoreEntry(record=record, fresh_for=record.max_age))
        else:
            self.store_client.publish(publication, lambda entry: self._published(run, previous, traceback, entry))

    def _published(self, run: Run, previous: Record | None, traceback: str, entry: StoreEntry) -> None:
        """Show what is known after a run, which is its outcome unless another process was first."""
        with self._lock:
            cached = self._records.get(run.definition.label)
            if cached is not None and cached.run is run:
                self._adopt(cached, entry)
                run.is_recorded = True
                if cached.flight is not None and cached.flight.run is run:
                    cached.flight = None
                if run.is_over or not run.timed_out:
                    cached.run = None
        is_known = entry.record is not None and entry.record.result.backend == run.definition.backend
        try:
            if entry.record is not None and entry.accepted:
                log_transition(run.definition, previous, entry.record, traceback, within=run.observer.attach)
                self._signals.send_signals(run.definition, previous, entry.record)
        finally:
            run.outcome.set_result(entry.record if is_known and (entry.accepted or entry.fresh_for > 0) else None)

    def _ended(self, run: Run) -> None:
        with self._lock:
            run.is_over = True
            cached = self._records.get(run.definition.label)
            if cached is not None and cached.run is run and run.is_recorded:
                cached.run = None

    def _adopt(self, cached: CachedRecord, entry: StoreEntry) -> None:
        """Make what the store knows what this process knows; called with the lock held."""
        if entry.record is None or (entry.record.result.backend != cached.definition.backend):
            return
        cached.record = entry.record
        cached.fresh_until = (self._clock.monotonic() if entry.as_of is None else entry.as_of) + entry.fresh_for
        self.stamp += 1  # last, and only here: who has read the number before reads again

    def _adopt_late(self, key: Key, entry: StoreEntry) -> None:
        with self._lock:
            cached = self._records.get(key.label)
            if cached is not None and cached.key == key and not cached.is_private:
                self._adopt(cached, entry)


def _tell_who_was_waited_for(waiters: Iterable[Waiter]) -> None:
    runs = [item.flight.run for item in waiters if item.flight is not None and item.flight.run is not None]
    for observer in {id(run.round_observer): run.round_observer for run in runs}.values():
        observer.waited()


def _granted(key: Key) -> StoreEntry:
    return StoreEntry(lease=Lease(key=key, token=NO_STORE))
