"""The monitor: answers how checks are, running those whose last result is no longer fresh."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import threading
import traceback
from collections.abc import Iterable, Sequence

from health_check.clock import Clock
from health_check.conf import settings
from health_check.definitions import Definition
from health_check.exceptions import HealthCheckException
from health_check.masking import mask
from health_check.observers import Observers
from health_check.records import Record, Result, State, unavailable
from health_check.reports import Reading
from health_check.run import Round, Run
from health_check.runner import Runner
from health_check.stores import Lease, Store

logger = logging.getLogger("health_check")
logger.parent = logging.getLogger("health-check")  # what was configured for django-health-check 3.x goes on working

SHOWABLE_AGES = 3
"""How many times its max_age a result may be old and still be shown while a new one is awaited."""

PATIENCE_SECONDS = 0.9
"""How much longer than the slowest budget a reader waits: a deadline's grace, and time to publish."""


class Slot:
    """What this process knows of one check."""

    __slots__ = ("definition", "fresh_until", "lease", "record", "run")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.record: Record | None = None
        self.fresh_until = float("-inf")
        self.run: Run | None = None
        self.lease: Lease | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """A check that a reader asked for, and the run it may have to wait for."""

    slot: Slot
    run: Run | None
    fresh: Record | None


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
        arrival = self._clock.monotonic()
        definitions = tuple(definitions)
        wanted, started = self._begin(definitions, force)
        here = settings.MAX_CONCURRENCY == 0 if here is None else here
        for run in started:
            (self._runner.run_here if here else self._runner.start)(run)
        patience = max((d.timeout for d in definitions), default=0.0) + PATIENCE_SECONDS
        limit = patience if wait is None else min(wait, patience)
        return tuple(self._finish(item, arrival, limit) for item in wanted)

    def peek(self, definitions: Sequence[Definition]) -> tuple[Reading, ...] | None:
        """Return the checks as they are if all results are fresh, else None; never blocks."""
        now = self._clock.monotonic()
        slots = [self._slots.get(definition.label) for definition in definitions]
        readings = []
        for slot, definition in zip(slots, definitions, strict=True):
            if slot is None or slot.record is None or slot.fresh_until <= now or slot.definition is not definition:
                return None
            readings.append(_reading(slot, slot.record))
        return tuple(readings)

    def _begin(self, definitions: Sequence[Definition], force: bool) -> tuple[list[Wanted], list[Run]]:
        """Look at every check, and make a run for each that needs one and has none."""
        wanted: list[Wanted] = []
        started: list[Run] = []
        with self._lock:
            now = self._clock.monotonic()
            for definition in definitions:
                slot = self._slot(definition)
                if slot.fresh_until > now and not force:
                    wanted.append(Wanted(slot=slot, run=None, fresh=slot.record))
                elif slot.run is not None and slot.run.timed_out:
                    wanted.append(Wanted(slot=slot, run=None, fresh=self._still_running(slot, slot.run)))
                elif slot.run is not None:
                    wanted.append(Wanted(slot=slot, run=slot.run, fresh=None))
                else:
                    slot.lease = self._store.acquire(definition.label)
                    slot.run = self._run(definition)
                    started.append(slot.run)
                    wanted.append(Wanted(slot=slot, run=slot.run, fresh=None))
        if started:
            round_ = Round(Observers(), len(started))
            for run in started:
                run.join(round_)
        return wanted, started

    def _slot(self, definition: Definition) -> Slot:
        slot = self._slots.get(definition.label)
        if slot is None or not (slot.definition is definition or slot.definition.same_check(definition)):
            slot = self._slots[definition.label] = Slot(definition)
        slot.definition = definition
        return slot

    def _run(self, definition: Definition) -> Run:
        return Run(definition, decided=self._decided, ended=self._ended, clock=self._clock)

    def _finish(self, wanted: Wanted, arrival: float, limit: float) -> Reading:
        """Wait for a check's run if there is one, and say how the check is."""
        if wanted.fresh is not None:
            return _reading(wanted.slot, wanted.fresh)
        run, slot = wanted.run, wanted.slot
        showable = self._showable(slot)
        if run is not None:
            until = arrival + (min(limit, settings.WAIT) if showable is not None else limit)
            try:
                return _reading(slot, run.outcome.result(max(0.0, until - self._clock.monotonic())))
            except concurrent.futures.TimeoutError:
                pass
            except Exception:
                logger.exception("The outcome of %s could not be recorded", slot.definition.label)
        if showable is not None:
            return _reading(slot, showable)
        return self._unknown(slot, run)

    def _showable(self, slot: Slot) -> Record | None:
        max_age = slot.definition.max_age
        young_enough = slot.fresh_until - max_age + SHOWABLE_AGES * max_age > self._clock.monotonic()
        return slot.record if young_enough else None

    def _unknown(self, slot: Slot, run: Run | None) -> Reading:
        if run is not None:
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

    def _still_running(self, slot: Slot, run: Run) -> Record:
        """Publish that a stuck run goes on, which is no new run; called with the lock held."""
        assert slot.record is not None  # noqa: S101 - a run times out only with a record
        max_age = slot.definition.max_age
        record = slot.record.still_running(run.waiting_for(), fresh_until=self._clock.now() + max_age)
        lease = self._store.acquire(slot.definition.label)
        self._publish(slot, record, lease, max_age)
        return record

    def _decided(self, run: Run, result: Result, error: BaseException | None) -> Record:
        """Make the outcome of a run the check's newest record."""
        with self._lock:
            slot = self._slot(run.definition)
            previous = slot.record
            max_age = slot.definition.max_age
            record = Record.after(previous, result, max_age=max_age)
            self._publish(slot, record, slot.lease, max_age)
            if not result.timed_out and slot.run is run:
                slot.run = None
        _log_change(run.definition, previous, record, error)
        return record

    def _publish(self, slot: Slot, record: Record, lease: Lease | None, max_age: float) -> None:
        if lease is not None:
            self._store.publish(lease, record)
            self._store.release(lease)
        slot.lease = None
        slot.record = record
        slot.fresh_until = self._clock.monotonic() + max_age

    def _ended(self, run: Run) -> None:
        with self._lock:
            slot = self._slots.get(run.definition.label)
            if slot is not None and slot.run is run:
                slot.run = None


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
    details = _details(error)
    logger.log(
        level,
        "%s is %s%s%s",
        definition.label,
        result.state.value,
        f": {texts}" if texts else "",
        f"\n{details}".rstrip(),
        extra={"check": definition.label, "state": result.state.value, "previous_state": before.value},
    )


def _details(error: BaseException | None) -> str:
    """Return the masked traceback of what nobody meant for readers."""
    if isinstance(error, HealthCheckException):
        error = error.__cause__
    return mask("".join(traceback.format_exception(error))) if error is not None else ""
