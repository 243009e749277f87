"""The scheduler: has checks run as their results expire, so that readers find fresh ones and need not wait."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.logs import log_once
from health_check.monitor.monitor import Monitor
from health_check.registry.definitions import Definition
from health_check.runner.observers import Trigger, triggered_by

JITTER_SHARE = 0.05
"""Up to which share of its max_age a check is run later than it could be, so that hosts do not run in step."""

MOST_JITTER_SECONDS = 1.0

SHORTEST_SECONDS = 0.02
LONGEST_SECONDS = 1.0
"""How long to sleep at least, and at most: endpoints may be added, and other processes may run checks, too."""

ASK_AGAIN_SECONDS = 1.0
"""How long to leave a check alone that was triggered, and got no new result yet."""


class Scheduler:
    """Trigger runs on a thread of its own, which ``start`` starts.

    It only triggers: the lease lets one process do each run, and readers trigger runs, too, where no scheduler does.

    Args:
        checks: Returns the checks; those with a ``max_age`` of 0 are left out.
        monitor: Runs them.
        clock: Returns the time.
    """

    def __init__(self, checks: Callable[[], Iterable[Definition]], monitor: Monitor, clock: Clock) -> None:
        self._checks = checks
        self._monitor = monitor
        self._clock = clock
        self._condition = threads.Condition()
        self._random = random.Random()  # noqa: S311 - nothing to guess
        self._jitters: dict[str, float] = {}
        self._triggered: dict[str, float] = {}
        self._state = "new"

    def start(self) -> None:
        """Start the thread, unless it was started before."""
        if self._state != "new":
            return
        with self._condition:
            if self._state != "new":
                return
            self._state = "running"
        try:
            threads.start(self._watch, "scheduler")
        except RuntimeError as error:
            self._state = "new"
            log_once("scheduler", "The scheduler of the health checks could not be started.", error, beside=True)

    def close(self) -> None:
        """Have the thread end."""
        with self._condition:
            self._state = "closed"
            self._condition.notify()

    def trigger_due(self) -> float:
        """Trigger what is due, and return for how many seconds nothing will be."""
        definitions = [definition for definition in self._checks() if definition.max_age > 0]
        now = self._clock.monotonic()
        times = [(self._due(definition, now), definition) for definition in definitions]
        due = [definition for time, definition in times if time <= now]
        for definition in due:
            self._triggered[definition.label] = now
            self._jitters[definition.label] = self._jitter(definition)
        if due:
            with triggered_by(Trigger.SCHEDULER):
                self._monitor.trigger(due)
        self._forget(definitions)
        return min((time - now for time, _ in times if time > now), default=LONGEST_SECONDS)

    def _due(self, definition: Definition, now: float) -> float:
        """Return when to trigger a check, on the monotonic clock."""
        jitter = self._jitters.setdefault(definition.label, self._jitter(definition))
        soonest = self._triggered.get(definition.label, -ASK_AGAIN_SECONDS) + min(ASK_AGAIN_SECONDS, definition.max_age)
        return max(soonest, self._monitor.next_run_at(definition) + jitter)

    def _jitter(self, definition: Definition) -> float:
        return self._random.uniform(0.0, min(MOST_JITTER_SECONDS, JITTER_SHARE * definition.max_age))

    def _forget(self, definitions: Sequence[Definition]) -> None:
        labels = {definition.label for definition in definitions}
        for known in (self._jitters, self._triggered):
            for label in known.keys() - labels:
                del known[label]

    def _watch(self) -> None:
        while self._state == "running":
            try:
                seconds = self.trigger_due()
            except Exception as error:
                log_once("scheduler", "The scheduler of the health checks failed; it tries again.", error, beside=True)
                seconds = LONGEST_SECONDS
            with self._condition:
                if self._state == "running":
                    self._condition.wait(min(LONGEST_SECONDS, max(SHORTEST_SECONDS, seconds)))
