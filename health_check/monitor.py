"""The monitor: answers how checks are, running those whose last result is no longer fresh."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import logging
import threading
from collections.abc import Callable, Container, Iterable, Sequence

from health_check.clock import Clock
from health_check.conf import settings
from health_check.definitions import Definition
from health_check.exceptions import HealthCheckException
from health_check.logs import details, log_once, logger
from health_check.observers import Observers
from health_check.records import Record, Result, State, unavailable
from health_check.reports import Reading
from health_check.run import Round, Run
from health_check.runner import Runner
from health_check.stores import Lease, Store

SHOWABLE_AGES = 3
"""How many times its max_age a result may be old and still be shown while a new one is awaited."""

MOST_SLOTS = 5000
"""How many checks to know at once; beyond that those that nobody reads any more are forgotten."""

PATIENCE_SECONDS = 0.9
"""How much longer than the slowest budget a reader waits: a deadline's grace, and time to publish."""


class Slot:
    """What this process knows of one check."""

    __slots__ = ("definition", "fresh_until", "record", "run")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.record: Record | None = None
        self.fresh_until = float("-inf")
        self.run: Run | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """A check that a reader asked for, and the run it may have to wait for."""

    slot: Slot
    """What is known of the check."""
    fresh: Record | None = None
    """Its record, if that is fresh."""
    run: Run | None = None
    """The run to wait for otherwise."""
    until: float = 0.0
    """Until when, on the monotonic clock."""
    showable: Record | None = None
    """What to show if that is not long enough."""


class Monitor:
    """Read checks: each is run once for all who ask while its result is fresh.

    Args:
        store: Where records are kept.
        runner: Runs the checks.
        clock: Tells the time.
    """

    def __init__(self, store: Store, runner: Runner, clock: Clock) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[str, Slot] = {}

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
        if not force and (fresh := self._fresh(definitions)) is not None:
            return fresh
        limit = self._clock.monotonic() + _patience(definitions, wait)
        here = settings.MAX_CONCURRENCY == 0 if here is None else here
        wanted = self._begin(definitions, force, limit, self._runner.run_here if here else self._runner.start)
        return tuple(self._reading_of(item, self._outcome_of(item)) for item in wanted)

    async def aread(
        self, definitions: Iterable[Definition], *, wait: float | None = None, force: bool = False
    ) -> tuple[Reading, ...]:
        """Return the checks as ``read`` does, without blocking the event loop."""
        definitions = tuple(definitions)
        if not force and (fresh := self._fresh(definitions)) is not None:
            return fresh
        limit = self._clock.monotonic() + _patience(definitions, wait)
        wanted = self._begin(definitions, force, limit, self._runner.start)
        return tuple([self._reading_of(item, await self._aoutcome_of(item)) for item in wanted])

    def _fresh(self, definitions: Sequence[Definition]) -> tuple[Reading, ...] | None:
        """Return the checks if all results are fresh, as they are for most readers: without the lock."""
        now = self._clock.monotonic()
        readings = []
        for definition in definitions:
            slot = self._slots.get(definition.label)
            if slot is None or slot.definition is not definition or slot.fresh_until <= now or slot.record is None:
                return None
            readings.append(_reading(slot, slot.record))
        return tuple(readings)

    def _begin(
        self, definitions: Sequence[Definition], force: bool, limit: float, start: Callable[[Run], None]
    ) -> list[Wanted]:
        """Look at every check, and start a run of each that needs one and has none."""
        wanted: list[Wanted] = []
        started: collections.deque[Run] = collections.deque()
        strangers = self._strangers(definitions)
        ages = [definition.max_age for definition in definitions]
        patience = settings.WAIT
        try:
            with self._lock:
                now = self._clock.monotonic()
                for definition, max_age in zip(definitions, ages, strict=True):
                    slot = self._slot(definition, strangers, now)
                    if slot.fresh_until > now and not force:
                        wanted.append(Wanted(slot=slot, fresh=slot.record))
                    elif slot.run is not None and slot.record is not None and slot.run.is_stuck:
                        wanted.append(Wanted(slot=slot, fresh=self._still_running(slot, slot.run, slot.record)))
                    else:
                        if slot.run is None:
                            slot.run = self._new_run(definition)
                            started.append(slot.run)
                        wanted.append(_awaited(slot, slot.run, max_age, now, limit, patience))
            if started:
                round_ = Round(Observers(), len(started))
                for run in started:
                    run.join(round_)
            while started:
                start(started.popleft())
        finally:
            for run in started:  # Ctrl-C during a run in this thread, say: nobody shall wait for the others
                run.fail_to_start(RuntimeError("interrupted"))
                run.end()
        return wanted

    def _new_run(self, definition: Definition) -> Run:
        lease = self._store.acquire(definition.label)
        return Run(definition, decided=self._decided, ended=self._ended, lease=lease, clock=self._clock)

    def _strangers(self, definitions: Iterable[Definition]) -> set[int]:
        """Return which definitions mean another check than is known by their label.

        Called without the lock, as comparing options runs code of the user's.
        """
        known = [(definition, self._slots.get(definition.label)) for definition in definitions]
        return {
            id(definition)
            for definition, slot in known
            if slot is not None and slot.definition is not definition and not slot.definition.same_check(definition)
        }

    def _slot(self, definition: Definition, strangers: Container[int], now: float) -> Slot:
        slot = self._slots.get(definition.label)
        if slot is None:
            self._forget_some(now)
        is_stuck = slot is not None and slot.run is not None and slot.run.is_stuck
        if slot is None or (id(definition) in strangers and not is_stuck):  # one label has one thread that hangs
            slot = self._slots[definition.label] = Slot(definition)
        slot.definition = definition
        return slot

    def _forget_some(self, now: float) -> None:
        """Forget checks that nobody reads any more: labels may come from requests."""
        if len(self._slots) >= MOST_SLOTS:
            old = [label for label, slot in self._slots.items() if slot.run is None and slot.fresh_until <= now]
            for label in old:
                del self._slots[label]
            self._store.forget(old)

    def _outcome_of(self, wanted: Wanted) -> Record | None:
        """Wait for a run; return None if it takes longer than the reader waits."""
        if wanted.run is None:
            return wanted.fresh
        concurrent.futures.wait([wanted.run.outcome], max(0.0, wanted.until - self._clock.monotonic()))
        return _result_of(wanted.run)

    async def _aoutcome_of(self, wanted: Wanted) -> Record | None:
        if wanted.run is None:
            return wanted.fresh
        if not wanted.run.outcome.done():
            future = asyncio.wrap_future(wanted.run.outcome)
            await asyncio.wait([future], timeout=max(0.0, wanted.until - self._clock.monotonic()))
        return _result_of(wanted.run)

    def _reading_of(self, wanted: Wanted, record: Record | None) -> Reading:
        """Say how a check is, with the outcome that was waited for or without."""
        record = record or wanted.showable
        return _reading(wanted.slot, record) if record is not None else self._unknown(wanted.slot, wanted.run)

    def _unknown(self, slot: Slot, run: Run | None) -> Reading:
        if run is not None and not run.outcome.done():
            message = run.waiting_for()
        elif slot.record is not None:
            age = self._clock.now() - slot.record.result.finished
            message = unavailable(f"no result for {max(0.0, age):.0f} s")
        else:
            message = unavailable("no result yet")
        return Reading(
            definition=slot.definition,
            record=slot.record,
            state=State.UNKNOWN,
            messages=(message,),
            in_progress=run is not None,
        )

    def _still_running(self, slot: Slot, run: Run, last: Record) -> Record:
        """Publish that a stuck run goes on, which is no new run; called with the lock held."""
        max_age = slot.definition.max_age
        record = last.still_running(run.waiting_for(), fresh_until=self._clock.now() + max_age)
        lease = self._store.acquire(slot.definition.label)
        self._publish(slot, record, lease, max_age)
        return record

    def _decided(self, run: Run, result: Result, error: BaseException | None) -> Record:
        """Make the outcome of a run the check's newest record, unless it was outrun."""
        with self._lock:
            slot = self._slots.get(run.definition.label)
            if slot is None or slot.run is not run:
                if run.lease is not None:
                    self._store.release(run.lease)
                return Record.after(None, result, max_age=0)
            previous = slot.record
            max_age = slot.definition.max_age
            record = Record.after(previous, result, max_age=max_age)
            self._publish(slot, record, run.lease, max_age)
            run.is_recorded = True
            if run.is_over or not result.timed_out:
                slot.run = None
        _log_change(run.definition, previous, record, error)
        return record

    def _publish(self, slot: Slot, record: Record, lease: Lease | None, max_age: float) -> None:
        if lease is not None:
            self._store.publish(lease, record)
            self._store.release(lease)
        slot.record = record
        slot.fresh_until = self._clock.monotonic() + max_age

    def _ended(self, run: Run) -> None:
        with self._lock:
            run.is_over = True
            slot = self._slots.get(run.definition.label)
            if slot is not None and slot.run is run and run.is_recorded:
                slot.run = None


def _awaited(slot: Slot, run: Run, max_age: float, now: float, limit: float, patience: float) -> Wanted:
    """Return for how long a reader waits for a run: not long if what is known can still be shown."""
    if slot.fresh_until + (SHOWABLE_AGES - 1) * max_age <= now:
        return Wanted(slot=slot, run=run, until=limit)
    return Wanted(slot=slot, run=run, until=min(limit, now + patience), showable=slot.record)


def _patience(definitions: Sequence[Definition], wait: float | None) -> float:
    """Return for how many seconds a reader waits at most: as long as the slowest check may take."""
    patience = max((definition.timeout for definition in definitions), default=0.0) + PATIENCE_SECONDS
    return patience if wait is None else min(wait, patience)


def _result_of(run: Run) -> Record | None:
    """Return the record that a run led to, or None if there is none, or not yet."""
    if not run.outcome.done():
        return None
    error = run.outcome.exception()
    if error is not None:
        log_once(run.definition.label, f"The outcome of {run.definition.label} could not be recorded.", error)
        return None
    return run.outcome.result()


def _reading(slot: Slot, record: Record) -> Reading:
    return Reading(
        definition=slot.definition,
        record=record,
        state=record.result.state,
        messages=record.result.messages,
        in_progress=slot.run is not None,
    )


def _log_change(definition: Definition, previous: Record | None, record: Record, error: BaseException | None) -> None:
    """Log a change of state, once."""
    result, before = record.result, previous.result.state if previous else State.OK
    if result.state is before and (
        error is None or previous is None or previous.result.error_type == result.error_type
    ):
        return
    level = {State.OK: logging.INFO, State.WARNING: logging.WARNING}.get(result.state, logging.ERROR)
    texts = "; ".join(message.text for message in result.messages)
    unexpected = error.__cause__ if isinstance(error, HealthCheckException) else error
    logger.log(
        level,
        "%s is %s%s%s",
        definition.label,
        result.state.value,
        f": {texts}" if texts else "",
        details(unexpected),
        extra={"check": definition.label, "state": result.state.value, "previous_state": before.value},
    )
