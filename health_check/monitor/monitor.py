"""The monitor: answers how checks are, seeing to it that those run whose last result is no longer fresh."""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future
from health_check.concurrency.threads import new_lock
from health_check.conf import settings
from health_check.logs import log_once
from health_check.monitor.record_cache import NO_STORE, CachedRecord, Flight, RecordCache, Refresh
from health_check.monitor.reports import Reading
from health_check.monitor.state_changes import Notifier, is_news, tell_of
from health_check.monitor.waiter import Waiter, patience_of, reading_of
from health_check.records import NO_TOTALS, Record, Result, State
from health_check.registry.definitions import Definition
from health_check.runner import observers
from health_check.runner.observers import Observers
from health_check.runner.run import GRACE_SECONDS, Round, Run
from health_check.runner.runner import BEAT_SECONDS, Runner
from health_check.stores import LEASE_SECONDS, Lease, Publication, Query, Store, StoreEntry
from health_check.stores.client import ANSWER_SECONDS, StoreClient, SupersededError

SLOWEST_POLL_SECONDS = 0.05
"""How long to wait at most before looking again for what another process is about to publish."""


class Monitor:
    """Read checks: each is run once for all who ask while its result is fresh, in this process and in others.

    A refresh (``_steps``) is one function from the look at the store to the publication. It goes on, step by step, on
    the thread that may call the store, so no refresh waits for another; readers wait for the future of a flight.

    The lock guards what is known of checks and which refresh is under way for each. It is held for moments: never while
    a check, the store, an observer or the log is at work.

    Args:
        create_store: Makes the store of the records.
        runner: Runs the checks.
        clock: Tells the time.
    """

    def __init__(self, create_store: Callable[[], Store], runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._notifier = Notifier(clock)
        self.store_client = StoreClient(create_store, clock, observers.untraced, self._notifier.tell, self._give_up)
        self._lock = new_lock()
        self._records = RecordCache()
        self._at_store: Refresh | None = None  # whose step is on the store's thread: if a call hangs, it is its call
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
            inline: Run in the calling thread, without deadline; default if ``MAX_CONCURRENCY`` is 0.
        """
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        timeouts = [definition.timeout for definition in definitions]
        limit = self._clock.monotonic() + patience_of(timeouts, wait)
        inline = settings.MAX_CONCURRENCY == 0 if inline is None else inline
        waiters = self._begin(definitions, timeouts, force, limit, inline=inline)
        pause = ANSWER_SECONDS
        for waiter in waiters:
            while waiter.flight is not None and (left := waiter.seconds_left(self._clock.monotonic())) > 0:
                if not waiter.flight.future.wait(min(left, pause)):
                    pause = self._rescue()
        return self._readings(waiters)

    async def aread(
        self, definitions: Iterable[Definition], *, wait: float | None = None, force: bool = False
    ) -> tuple[Reading, ...]:
        """Return the checks as ``read`` does, without blocking the event loop."""
        definitions = tuple(definitions)
        if not force and (fresh := self.fresh(definitions)) is not None:
            return fresh[0]
        timeouts = [definition.timeout for definition in definitions]
        limit = self._clock.monotonic() + patience_of(timeouts, wait)
        waiters = self._begin(definitions, timeouts, force, limit)
        pause = ANSWER_SECONDS
        for waiter in waiters:
            while waiter.flight is not None and (left := waiter.seconds_left(self._clock.monotonic())) > 0:
                if not await waiter.flight.future.wait_on_loop(min(left, pause)):
                    pause = self._rescue()
        return self._readings(waiters)

    def trigger(self, definitions: Iterable[Definition]) -> None:
        """See to it that checks run that are due, without waiting for them.

        They may be due a little before their results expire: the new ones are published when they do.
        """
        definitions = tuple(definitions)
        self._begin(definitions, [definition.timeout for definition in definitions], False, 0.0, early=True)

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
                or (cached.is_alone and self.store_client.up)
            ):
                return None
            readings.append(reading_of(cached, cached.record))
            until = min(until, cached.fresh_until)
        return tuple(readings), until

    def flush(self, seconds: float) -> None:
        """Wait until what was found is in the log and told to receivers of signals, some seconds at most."""
        self._notifier.flush(seconds)

    def close(self) -> None:
        """Let threads go."""
        self.store_client.close()

    def _readings(self, waiters: Sequence[Waiter]) -> tuple[Reading, ...]:
        runs = [waiter.flight.run for waiter in waiters if waiter.flight is not None and waiter.flight.run is not None]
        for observer in {id(run.round): run.round.observer for run in runs}.values():
            observer.waited()
        now = self._clock.now()
        return tuple(waiter.reading(now) for waiter in waiters)

    def _begin(
        self,
        definitions: Sequence[Definition],
        timeouts: Sequence[float],
        force: bool,
        limit: float,
        *,
        early: bool = False,
        inline: bool = False,
    ) -> list[Waiter]:
        """Return whom to wait for of each check, and begin a refresh of those that are not fresh and have none."""
        waiters: list[Waiter] = []
        refresh = Refresh(context=contextvars.copy_context(), inline=inline)
        redefined = self._records.redefined(definitions)
        ages = [definition.max_age for definition in definitions]
        patience = settings.WAIT
        self._rescue()
        with self._lock:
            now = self._clock.monotonic()
            forgotten = self._records.forget_some(now)
            for definition, timeout, max_age in zip(definitions, timeouts, ages, strict=True):
                cached = self._records.of(definition, redefined)
                is_fresh = cached.is_fresh(now + cached.lead if early else now)
                if is_fresh and not force and not (cached.is_alone and self.store_client.up):
                    waiters.append(Waiter(cached=cached, fresh=cached.record))
                    continue
                if cached.flight is None:
                    cached.flight = Flight(cached, refresh, timeout=timeout, max_age=max_age, force=force)
                    cached.flight.lead = cached.lead if early else 0.0
                    refresh.flights.append(cached.flight)
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
            self._submit(lambda: self.store_client.call(lambda store: store.forget(forgotten), None))
        if refresh.flights:
            self._go_through(refresh, limit)
        return waiters

    def _go_through(self, refresh: Refresh, limit: float) -> None:
        """Have a refresh go on, in this thread if it is inline, else on the store's; it reaches its end or fails."""
        refresh.steps = self._steps(refresh)
        try:
            while refresh.inline and (now := self._clock.monotonic()) < limit:
                wake_at = next(refresh.steps, None)
                if wake_at is None:
                    return
                Future[None]().wait(min(wake_at, limit) - now)
            refresh.inline = False
            self.store_client.submit(lambda: self._step(refresh))
        except BaseException as error:
            self._fail(refresh, error)
            if not isinstance(error, Exception):  # Ctrl-C during a run in this thread
                raise

    def _submit(self, step: Callable[[], object]) -> None:
        try:
            self.store_client.submit(step)
        except RuntimeError as error:
            log_once("store-thread", "No thread could be started for the store of the health checks.", error)

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
        except BaseException as error:  # whatever it is, it is not to leave anybody waiting
            self._at_store = None
            self._fail(refresh, error)
            return
        self._at_store = None
        if wake_at < refresh.wake_at:
            refresh.wake_at = wake_at
            self.store_client.call_at(wake_at, lambda: self._wake(refresh, wake_at))

    def _wake(self, refresh: Refresh, moment: float) -> None:
        if refresh.wake_at == moment:
            refresh.wake_at = math.inf
            self._step(refresh)

    def _fail(self, refresh: Refresh, error: BaseException) -> None:
        """Tell who waits what kept a refresh from its end; the next reader begins another one."""
        with self._lock:
            flights = [flight for flight in refresh.flights if flight.cached.flight is flight]
            for flight in flights:
                flight.cached.flight = flight.cached.run = None
        for flight in flights:
            flight.future.set_exception(error)
        if isinstance(error, Exception):
            self._notifier.tell(
                lambda: log_once("refresh", "Health checks could not be refreshed; the next reader tries again.", error)
            )
        if leases := [
            flight.lease for flight in flights if flight.lease is not None and flight.lease.token != NO_STORE
        ]:
            self._submit(lambda: self.store_client.release(leases))

    def _rescue(self) -> float:
        """Go on without the store where it hangs, and come back to it; return after how many seconds to ask again."""
        if not self.store_client.up:
            self.store_client.see_to_it()
        return self.store_client.rescue()

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
            self._go_through(refresh, 0.0)

    def _steps(self, refresh: Refresh) -> Iterator[float]:
        """Refresh checks: look in the store, start what it gives the lease of, publish outcomes, wake who waits."""
        running = {flight.run: flight for flight in refresh.flights if flight.run is not None}
        asking = [flight for flight in refresh.flights if flight.run is None]
        look_at = deadline = -math.inf
        early: list[Run] = []
        while True:
            now = self._clock.monotonic()
            if asking and now >= look_at:
                leased, asking = self._look(refresh, asking)
                if leased:
                    running |= self._start(refresh, leased)
                    deadline = -math.inf
                look_at = now + self._poll_seconds(asking)
            outcomes = early
            while refresh.arrived:
                outcomes.append(refresh.arrived.popleft())
            if now >= deadline:
                outcomes += self._expired(running, now)
                deadline = min((run.deadline for run in running), default=math.inf)
                if any(run.definition.asynchronous for run in running):
                    deadline = min(deadline, now + BEAT_SECONDS)
            outcomes = [run for run in dict.fromkeys(outcomes) if run in running]  # else it is published already
            early = [run for run in outcomes if self._is_early(running[run], now)]
            settled = {run: running.pop(run) for run in outcomes if run not in early}
            asking += self._publish(refresh, settled)
            if not running and not asking:
                return
            if refresh.arrived or (asking and look_at <= now):
                continue
            wake_at = min(deadline, look_at if asking else math.inf)
            yield min([wake_at, *(running[run].cached.fresh_until for run in early)])

    def _poll_seconds(self, asking: Sequence[Flight]) -> float:
        looks = max((flight.looks for flight in asking), default=0)
        return min(SLOWEST_POLL_SECONDS, self.store_client.poll_seconds * 1.3**looks)

    def _look(self, refresh: Refresh, asking: Sequence[Flight]) -> tuple[list[Flight], list[Flight]]:
        """Look in the store, wake who waits for what is fresh, and return what to run, and what others run."""
        asked = self._clock.monotonic()
        shared = [flight for flight in asking if not flight.cached.is_private]
        found = self.store_client.look([self._query(flight) for flight in shared]) if shared else []
        known = dict(zip(shared, found, strict=True)) if found is not None else {}
        entries = [known.get(flight) or _granted(flight.cached) for flight in asking]
        leased: list[Flight] = []
        held: list[Flight] = []
        landed: list[tuple[Flight, Record | None]] = []
        spare: list[Lease] = []
        with self._lock:
            for flight, entry in zip(asking, entries, strict=True):
                cached = flight.cached
                self._adopt(cached, entry.record, asked + entry.fresh_for)
                if entry.lease is not None and not cached.is_stuck:
                    flight.lease, flight.previous = entry.lease, entry.record
                    leased.append(flight)
                    continue
                if entry.lease is not None:
                    spare.append(entry.lease)
                suffices = entry.suffices(dataclasses.replace(self._query(flight), lead=0.0))
                if suffices or cached.is_stuck:
                    landed.append((flight, entry.record if suffices else None))
                else:
                    flight.note(entry)
                    held.append(flight)
            for flight, _ in landed:
                flight.cached.flight = None
        for flight, record in landed:
            flight.future.set_result(record)
        self.store_client.release([lease for lease in spare if lease.token != NO_STORE])
        return leased, held

    def _query(self, flight: Flight) -> Query:
        cached = flight.cached
        return Query(
            key=cached.key,
            backend=cached.definition.backend,
            lease_seconds=None if cached.is_stuck else flight.timeout + GRACE_SECONDS + LEASE_SECONDS,
            force=flight.force,
            seen=flight.seen,
            lead=flight.lead,
        )

    def _start(self, refresh: Refresh, leased: Sequence[Flight]) -> dict[Run, Flight]:
        """Start the runs of what this process holds the lease of."""
        failing = any(_was_failing(flight.cached.record) for flight in leased)
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
            self._submit(lambda: self._step(refresh))

    def _expired(self, running: Iterable[Run], now: float) -> list[Run]:
        """Give up the runs whose deadline has passed; return those whose observers take too long to hear of that."""
        self._runner.see_to_loop()
        for run in running:
            if run.expire():
                try:
                    threads.start(run.tell, "deadline")
                except RuntimeError:
                    run.tell()
        return [run for run in running if run.result is not None and now >= run.deadline]

    def _is_early(self, flight: Flight, now: float) -> bool:
        """Tell whether others still show the record before as fresh: it is not replaced until it expires."""
        return flight.lead > 0 and not flight.force and flight.cached.fresh_until > now

    def _publish(self, refresh: Refresh, settled: dict[Run, Flight]) -> list[Flight]:
        """Publish outcomes, and wake who waits for them; return the flights of those that another process outran."""
        records = {flight: self._record_of(run, run.result, flight) for run, flight in settled.items() if run.result}
        publications = [
            Publication(lease=flight.lease, record=record)
            for flight, record in records.items()
            if flight.lease is not None and flight.lease.token != NO_STORE
        ]
        accepted = self.store_client.publish(publications) if publications else []
        is_alone = self.store_client.shared and not self.store_client.up
        outrun = {
            publication.lease for publication, taken in zip(publications, accepted or (), strict=False) if not taken
        }
        again = []
        for run, flight in settled.items():
            if flight.lease in outrun:
                with self._lock:
                    run.is_recorded = True  # by another process: what still hangs here is stuck all the same
                    if run.is_over and flight.cached.run is run:
                        flight.cached.run = None
                flight.run = flight.lease = None
                again.append(flight)
            else:
                without = is_alone and not flight.cached.is_private
                self._land(refresh, run, flight, records[flight], is_alone=without)
        return again

    def _record_of(self, run: Run, result: Result, flight: Flight) -> Record:
        """Return the record that a run leads to; a store that has lost its own goes on from what is known here."""
        previous, known = flight.previous, flight.cached.record
        if previous is None and known is not None:
            has_store = flight.lease is not None and flight.lease.token != NO_STORE
            previous = dataclasses.replace(known, totals=NO_TOTALS) if has_store else known
        if previous is not None and previous.result.backend != run.definition.backend:
            previous = None
        record = Record.after(previous, result, max_age=flight.max_age)
        # The numbers go on from another backend's: the next lease is never the one that this record was made under.
        return record if flight.previous is None else dataclasses.replace(record, seq=flight.previous.seq + 1)

    def _land(self, refresh: Refresh, run: Run, flight: Flight, record: Record, *, is_alone: bool) -> None:
        """Show a record, tell of it, and wake who waits for it."""
        cached = flight.cached
        with self._lock:
            previous = cached.record
            self._adopt(cached, record, run.ended_monotonic + record.max_age, is_alone=is_alone)
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
                self._notifier.tell(told)
        flight.future.set_result(record)

    def _ended(self, cached: CachedRecord, run: Run) -> None:
        with self._lock:
            run.is_over = True
            if cached.run is run and run.is_recorded:
                cached.run = None

    def _adopt(
        self, cached: CachedRecord, record: Record | None, fresh_until: float, *, is_alone: bool = False
    ) -> None:
        """Make what the store knows what this process knows; called with the lock held."""
        if record is None or record.result.backend != cached.definition.backend:
            return
        cached.record = record
        cached.fresh_until = fresh_until
        cached.is_alone = is_alone
        self.stamp += 1  # last, and only here: who has read the number before reads again


def _was_failing(record: Record | None) -> bool:
    return record is not None and record.result.state is not State.OK


def _granted(cached: CachedRecord) -> StoreEntry:
    """Return the entry of a check that this process runs without asking the store."""
    return StoreEntry(lease=Lease(key=cached.key, token=NO_STORE))
