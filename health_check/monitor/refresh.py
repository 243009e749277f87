"""The refresh: looks in the store, runs what is to be run, publishes the outcomes and wakes who waits for them."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future
from health_check.logs import log_once, tell_by
from health_check.monitor import own_server
from health_check.monitor.record_cache import NO_STORE, CachedRecord, Flight, RecordCache, Refresh
from health_check.monitor.state_changes import Notifier, is_news, tell_of
from health_check.records import UNKNOWN_TOTALS, Record, Result, State
from health_check.runner import observers
from health_check.runner.observers import Observers
from health_check.runner.run import GRACE_SECONDS, Round, Run
from health_check.runner.runner import BEAT_SECONDS, Runner
from health_check.stores import LEASE_SECONDS, Key, Lease, Publication, Query, Store, StoreEntry
from health_check.stores.client import StoreClient, SupersededError

SLOWEST_POLL_SECONDS = 0.05
"""How long to wait at most before looking again for what another process is about to publish."""

MOST_SLOWER = 50
"""After how many looks the pauses get no longer, as the slowest one is reached long before."""


MOST_AT_ONCE = 50
"""How many checks are looked for in the store at once: other refreshes go on in between."""


class Refresher:
    """Refresh checks: ``_steps`` is the refresh from top to bottom.

    It goes on, step by step, on the thread that may call the store, so no refresh waits for another; readers wait for
    the future of a flight. The lock of the records is held for moments: never while a check, the store, an observer or
    the log is at work.

    Args:
        create_store: Makes the store of the records.
        runner: Runs the checks.
        clock: Returns the time.
        records: What this process knows.
    """

    def __init__(self, create_store: Callable[[], Store], runner: Runner, clock: Clock, records: RecordCache) -> None:
        self._runner = runner
        self._clock = clock
        self._records = records
        self._lock = records.lock
        self.notifier = Notifier(clock)
        tell_by(self.notifier.tell)
        self.store_client = StoreClient(create_store, clock, observers.untraced, self.notifier.tell, self._give_up)
        self.server_start = -math.inf
        """When the server of this process started, on the monotonic clock: the wall clock may be set meanwhile."""
        self._at_store: Refresh | None = None  # whose step is on the store's thread: if a call hangs, it is its call

    def forget(self, keys: Sequence[Key]) -> None:
        """Have the store drop what it knows of checks in this process's memory."""
        self._submit(lambda: self.store_client.call(lambda store: store.forget(keys), None))

    def rescue(self, *, leave: bool, late: bool = False) -> float:
        """Go on without the store where it hangs, and come back to it; return after how many seconds to ask again.

        Args:
            leave: Whether to go on without it before it is lost, for somebody who can be shown nothing.
            late: Whether who asks woke up late.
        """
        if not self.store_client.up:
            self.store_client.see_to_it()
        return self.store_client.rescue(leave=leave, late=late)

    def begin(self, refresh: Refresh, limit: float) -> None:
        """Begin a refresh: in this thread if it is inline, else on the store's; it reaches its end or fails."""
        refresh.steps = self._steps(refresh)
        try:
            while refresh.inline and (now := self._clock.monotonic()) < limit:
                wake_at = next(refresh.steps, None)
                if wake_at is None:
                    return
                Future[None]().wait(min(wake_at, limit) - now)
            refresh.inline = False
            self.store_client.submit(functools.partial(self._step, refresh))
        except BaseException as error:
            self._fail(refresh, error)
            if not isinstance(error, Exception):  # Ctrl-C during a run in this thread
                raise

    def _submit(self, step: Callable[[], object]) -> None:
        try:
            self.store_client.submit(step)
        except RuntimeError as error:
            text = "No thread could be started for the store of the health checks."
            log_once("store-thread", text, error, beside=True)

    def _step(self, refresh: Refresh) -> None:
        """Go on with a refresh until it has to wait; on the store's thread."""
        if refresh.is_given_up:
            return
        refresh.is_due = False
        self._at_store = refresh
        try:
            wake_at = next(refresh.steps, math.inf)
        except SupersededError:  # another refresh has its flights
            return
        except BaseException as error:  # nobody may be left waiting, even by SystemExit
            self._at_store = None
            self._fail(refresh, error)
            return
        self._at_store = None
        if wake_at < refresh.wake_at:
            refresh.wake_at = wake_at
            self.store_client.call_at(wake_at, functools.partial(self._wake, refresh, wake_at))

    def _wake(self, refresh: Refresh, moment: float) -> None:
        if refresh.wake_at == moment:
            refresh.wake_at = math.inf
            self._step(refresh)

    def _fail(self, refresh: Refresh, error: BaseException) -> None:
        """Give those who wait the exception that ended a refresh; the next reader begins another one."""
        with self._lock:
            flights = [flight for flight in refresh.flights if flight.cached.flight is flight]
            for flight in flights:
                flight.cached.flight = flight.cached.run = None
        for flight in flights:
            flight.future.set_exception(error)
        if isinstance(error, Exception):
            self.notifier.tell(
                lambda: log_once("refresh", "Health checks could not be refreshed; the next reader tries again.", error)
            )
        if leases := [
            flight.lease for flight in flights if flight.lease is not None and flight.lease.token != NO_STORE
        ]:
            self._submit(lambda: self.store_client.release(leases))

    def _give_up(self) -> None:
        """Have those refreshed by another refresh whose refresh hangs at the store."""
        given_up, self._at_store = self._at_store, None
        if given_up is None:
            return
        given_up.is_given_up = True
        with self._lock:
            orphans = [flight for flight in given_up.flights if flight.cached.flight is flight]
            refresh = Refresh(context=given_up.context, flights=orphans)
            for flight in orphans:
                flight.refresh = refresh
        refresh.arrived.extend(flight.run for flight in orphans if flight.run is not None and flight.run.result)
        if orphans:
            self.begin(refresh, 0.0)

    def _steps(self, refresh: Refresh) -> Iterator[float]:
        """Refresh checks: look in the store, start what it gives the lease of, publish outcomes, wake who waits."""
        running = {flight.run: flight for flight in refresh.flights if flight.run is not None}
        unseen = [flight for flight in refresh.flights if flight.run is None]
        held: list[Flight] = []
        look_at, deadline = math.inf, -math.inf
        outcomes: list[Run] = []
        while True:
            now = self._clock.monotonic()
            if not unseen and now >= look_at:
                unseen, held = held, []
            if unseen:
                leased, others = self._look(refresh, unseen[:MOST_AT_ONCE])
                unseen = unseen[MOST_AT_ONCE:]
                if leased:
                    running |= self._start(refresh, leased)
                    deadline = _deadline_of(running, now)
                held += others
                look_at = now + self._poll_seconds(held) if held else math.inf
            while refresh.arrived:
                outcomes.append(refresh.arrived.popleft())
            if now >= deadline:
                outcomes += self._expired(running, now)
                deadline = _deadline_of(running, now)
            settled, outcomes, early_until = _settled(running, outcomes, now)
            unseen += self._publish(refresh, settled) if settled else ()
            if not running and not unseen and not held:
                return
            if refresh.arrived or look_at <= now:
                continue
            yield now if unseen else min(deadline, look_at, early_until)

    def _poll_seconds(self, asking: Sequence[Flight]) -> float:
        looks = max(flight.looks for flight in asking)
        return min(SLOWEST_POLL_SECONDS, self.store_client.poll_seconds * 1.3 ** min(looks, MOST_SLOWER))

    def _look(self, refresh: Refresh, asking: Sequence[Flight]) -> tuple[list[Flight], list[Flight]]:
        """Look in the store, wake who waits for what is fresh, and return what to run, and what others run."""
        asked = self._clock.monotonic()
        not_before = self.not_before
        queries: dict[Flight, Query] = {}
        for flight in asking:
            if not flight.cached.is_private:
                queries[flight] = self._query(flight, not_before)
        found = self.store_client.look(list(queries.values())) if queries else None
        known = dict(zip(queries, found, strict=True)) if found is not None else {}
        leased: list[Flight] = []
        held: list[Flight] = []
        landed: list[tuple[Flight, Record | None]] = []
        spare: list[Lease] = []
        with self._lock:
            for flight in asking:
                cached, entry = flight.cached, known.get(flight) or _granted(flight.cached)
                self._records.adopt(cached, entry.record, _fresh_until(entry, asked, not_before))
                if entry.lease is not None and not cached.is_stuck:
                    flight.lease, flight.previous = entry.lease, entry.record or entry.latest
                    leased.append(flight)
                    continue
                if entry.lease is not None:
                    spare.append(entry.lease)
                suffices = flight in known and entry.suffices(queries[flight]._replace(lead=0.0))
                if suffices or cached.is_stuck:
                    landed.append((flight, entry.record if suffices else None))
                else:
                    flight.note(entry)
                    held.append(flight)
            for flight, _ in landed:
                flight.cached.flight = None
        for flight, record in landed:
            flight.future.set_result(record)
        if spare:
            self.store_client.release([lease for lease in spare if lease.token != NO_STORE])
        return leased, held

    @property
    def not_before(self) -> float:
        """A run that began before this, Unix time in seconds, is not shown by this process."""
        return self._clock.now() - (self._clock.monotonic() - self.server_start)

    def _query(self, flight: Flight, not_before: float) -> Query:
        cached = flight.cached
        return Query(
            key=cached.key,
            backend=cached.definition.backend,
            lease_seconds=None if cached.is_stuck else flight.timeout + GRACE_SECONDS + LEASE_SECONDS,
            force=flight.force,
            seen=flight.seen,
            lead=flight.lead,
            max_age=flight.max_age,
            not_before=not_before,
        )

    def _start(self, refresh: Refresh, leased: Sequence[Flight]) -> dict[Run, Flight]:
        """Start the runs of what this process holds the lease of."""
        failing = any(map(_was_failing, leased))
        round_ = Round(refresh.context.copy().run(Observers, failing=failing), len(leased))
        runs: dict[Run, Flight] = {}
        for flight in leased:
            run = flight.run = flight.cached.run = Run(
                flight.cached.definition,
                timeout=flight.timeout,
                round_=round_,
                arrived=functools.partial(self._arrived, flight),
                ended=functools.partial(self._ended, flight.cached),
                clock=self._clock,
            )
            runs[run] = flight
        for run in runs:
            if refresh.inline:
                self._runner.run_inline(run)
            else:
                self._runner.start(run)
        return runs

    def _arrived(self, flight: Flight, run: Run) -> None:
        """Have the refresh go on that waits for a run; on the run's thread."""
        refresh = flight.refresh
        refresh.arrived.append(run)
        if not (refresh.inline or refresh.is_due):
            refresh.is_due = True  # before the step, which looks at what has arrived after it has taken this back
            self._submit(functools.partial(self._step, refresh))

    def _expired(self, running: Iterable[Run], now: float) -> list[Run]:
        """Give up the runs whose deadline has passed; return those whose observers take too long."""
        self._runner.see_to_loop()
        if slow := [run for run in running if run.is_slow(now)]:
            own_server.look_for(slow)
        for run in running:
            if run.expire():
                try:
                    threads.start(run.tell, "deadline")
                except RuntimeError:
                    run.tell()
        return [run for run in running if run.result is not None and now >= run.deadline]

    def _publish(self, refresh: Refresh, settled: dict[Run, Flight]) -> list[Flight]:
        """Publish outcomes, and wake who waits for them; return the flights of those that another process outran."""
        records: dict[Run, Record] = {}
        publications: dict[Run, Publication] = {}
        own: list[Lease] = []
        for run, flight in settled.items():
            if run.result is None:  # none is, once it is settled
                continue
            records[run] = made = self._record_of(run, run.result, flight)
            if flight.lease is None or flight.lease.token == NO_STORE:
                continue
            if run.lacks and self.store_client.shared:
                own.append(flight.lease)
            else:
                publications[run] = Publication(lease=flight.lease, record=made, forced=flight.force)
        if own:
            self.store_client.release(own)
        published = self.store_client.publish(list(publications.values())) if publications else None
        stored = dict(zip(publications, published, strict=True)) if published is not None else {}
        again = []
        for run, made in records.items():
            flight, record = settled[run], stored.get(run, made)
            if record is None:
                with self._lock:
                    run.is_recorded = True  # by another process: what still hangs here is stuck all the same
                    if run.is_over and flight.cached.run is run:
                        flight.cached.run = None
                flight.run = flight.lease = None
                again.append(flight)
            else:
                counts = run in stored or flight.cached.is_private or not self.store_client.shared
                self._land(refresh, run, flight, record, counts=counts)
        return again

    def _record_of(self, run: Run, result: Result, flight: Flight) -> Record:
        """Return the record that a run leads to, after the one in the store, or the one known here if that is lost."""
        previous = flight.previous or flight.cached.record
        if previous is not None and previous.result.backend != run.definition.backend:
            previous = None
        # The numbers go on from another backend's: the next lease is never the one that this record was made under.
        seq = None if flight.previous is None else flight.previous.seq + 1
        return Record.after(previous, result, max_age=flight.max_age, seq=seq, counts=flight.cached.is_private)

    def _land(self, refresh: Refresh, run: Run, flight: Flight, record: Record, *, counts: bool) -> None:
        """Show a record, report it, and wake those who wait for it; a run without the store is not counted."""
        cached = flight.cached
        is_alone = not (counts or run.lacks)  # a result that this process cannot judge is fresh for the usual time
        with self._lock:
            previous = cached.record
            if not counts:
                record = record._replace(totals=previous.totals if previous else UNKNOWN_TOTALS)
            self._records.adopt(cached, record, run.ended_monotonic + record.max_age, is_alone=is_alone)
            run.is_recorded = True
            if cached.flight is flight:
                cached.flight = None
            if cached.run is run and (run.is_over or not run.timed_out):
                cached.run = None
        if is_news(previous, record):
            told = functools.partial(tell_of, run, previous, record)
            if refresh.inline:
                told()
            else:
                self.notifier.tell(told)
        flight.future.set_result(record)

    def _ended(self, cached: CachedRecord, run: Run) -> None:
        with self._lock:
            run.is_over = True
            if cached.run is run and run.is_recorded:
                cached.run = None


def _deadline_of(running: Iterable[Run], now: float) -> float:
    """Return when to see to runs again though none has arrived, on the monotonic clock."""
    deadline = min(map(operator.attrgetter("see_at"), running), default=math.inf)
    return min(deadline, now + BEAT_SECONDS) if any(map(operator.attrgetter("asynchronous"), running)) else deadline


def _settled(
    running: dict[Run, Flight], outcomes: Iterable[Run], now: float
) -> tuple[dict[Run, Flight], list[Run], float]:
    """Take the runs that have their outcome from those that go on.

    Those that are early stay: others still show the record before as fresh, so it is not replaced until it expires.

    Returns:
        Those that were taken, the early ones, and when the first of these is no longer early.
    """
    settled: dict[Run, Flight] = {}
    early: list[Run] = []
    until = math.inf
    for run in outcomes:
        if (flight := running.get(run)) is None:  # it is published already
            continue
        if flight.lead > 0 and not flight.force and (fresh_until := flight.cached.fresh_until) > now:
            early.append(run)
            until = min(until, fresh_until)
        else:
            settled[run] = running.pop(run)
    return settled, early, until


def _was_failing(flight: Flight) -> bool:
    record = flight.cached.record
    return record is not None and record.result.state is not State.OK


def _granted(cached: CachedRecord) -> StoreEntry:
    """Return the entry of a check that this process runs without asking the store."""
    return StoreEntry(lease=Lease(key=cached.key, token=NO_STORE))


def _fresh_until(entry: StoreEntry, asked: float, not_before: float) -> float:
    """Return until when a record is fresh, on the monotonic clock."""
    is_old = entry.record is not None and entry.record.result.started < not_before
    return -math.inf if is_old else asked + entry.fresh_for
