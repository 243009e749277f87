"""What is known of a check: its last result and its history, frozen."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.functional import cached_property  # that of functools holds one lock for all instances

from health_check.conf import settings
from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)
from health_check.redaction import showable


class State(enum.StrEnum):
    """How a check is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


class Outcome(enum.StrEnum):
    """How a run of a check ended."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    TIMEOUT = "timeout"


class Kind(enum.StrEnum):
    """Which exception a message came from."""

    WARNING = "warning"
    UNAVAILABLE = "unavailable"
    UNEXPECTED = "unexpected result"
    UNKNOWN = "unknown error"


_EXCEPTIONS: Mapping[Kind, type[HealthCheckException]] = {
    Kind.WARNING: ServiceWarning,
    Kind.UNAVAILABLE: ServiceUnavailable,
    Kind.UNEXPECTED: ServiceReturnedUnexpectedResult,
    Kind.UNKNOWN: HealthCheckException,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """One thing that is wrong, as it is shown."""

    kind: Kind
    """Which exception it came from."""
    text: str
    """The words, secrets masked."""
    time: float | None = dataclasses.field(default=None, compare=False)
    """When it went wrong, as who raised it said, Unix time in seconds; None if nobody did."""

    @classmethod
    def of(cls, error: object) -> Message:
        """Return the message of an error; of anything but a HealthCheckException the text is not shown."""
        if isinstance(error, str):
            error = HealthCheckException(error)
        if not isinstance(error, HealthCheckException):
            return UNKNOWN_ERROR
        kind = next(kind for kind, exception in _EXCEPTIONS.items() if isinstance(error, exception))
        try:
            return cls(kind=kind, text=showable(str(error)), time=error.stated_time)
        except Exception:
            return UNKNOWN_ERROR

    def as_exception(self) -> HealthCheckException:
        """Return an exception of the kind and text of this message."""
        exception = _EXCEPTIONS[self.kind]
        prefix = f"{exception.message_type}: "
        moment = None if self.time is None else datetime.datetime.fromtimestamp(self.time, datetime.UTC)
        if self.text.startswith(prefix) or self.text == exception.message_type:
            return exception(self.text.removeprefix(prefix), timestamp=moment)
        error = exception(timestamp=moment)
        error.message_type = self.text
        return error


UNKNOWN_ERROR = Message(kind=Kind.UNKNOWN, text="unknown error")
"""What is shown of an exception whose text nobody meant for readers."""


def unavailable(text: str) -> Message:
    """Return the message of a ServiceUnavailable."""
    return Message.of(ServiceUnavailable(text))


def state_of(messages: Sequence[Message]) -> State:
    """Return the state that the messages of a run amount to."""
    if not messages:
        return State.OK
    return State.WARNING if all(message.kind is Kind.WARNING for message in messages) else State.ERROR


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one run of a check."""

    messages: tuple[Message, ...] = ()
    """What is wrong; empty if nothing is."""
    timed_out: bool = False
    """Whether the run had not ended at its deadline."""
    error_type: str | None = None
    """The dotted path of the exception class, or ``"timeout"``; None without errors."""
    time_taken: float
    """How long it took, in seconds."""
    started: float
    """When it started, Unix time in seconds."""
    finished: float
    """When it ended or was given up, Unix time in seconds."""
    host: str
    """The host that ran it."""
    pid: int
    """The process that ran it."""
    backend: str = ""
    """The dotted path of the check that ran."""
    pretty_status: str | None = None
    """What the check's own ``pretty_status()`` said; None if it has none of its own."""
    exemplar: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What finds this run elsewhere: the ids of its trace and span, where there is a sampled trace."""

    @cached_property
    def state(self) -> State:
        """The state the check was found in."""
        return state_of(self.messages)

    @cached_property
    def outcome(self) -> Outcome:
        """How the run ended."""
        return Outcome.TIMEOUT if self.timed_out else Outcome(self.state)


NO_RUNS: Mapping[Outcome, int] = dict.fromkeys(Outcome, 0)
NOTHING: Mapping[float, Any] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exemplar:
    """One run, as an example of those that took about as long."""

    labels: Mapping[str, str]
    """What finds it elsewhere."""
    seconds: float
    """How long it took."""
    finished: float
    """When it ended, Unix time in seconds."""


class Totals(NamedTuple):
    """What is counted of all runs of a check."""

    runs: Mapping[Outcome, int] = NO_RUNS
    """How many there were, by outcome."""
    durations: Mapping[float, int] = NOTHING
    """How many took longer than the bucket before and at most so many seconds."""
    seconds: float = 0.0
    """How long all of them took together."""
    exemplars: Mapping[float, Exemplar] = NOTHING
    """The last run that can be found elsewhere, by the bound that it was counted under."""

    def counting(self, result: Result) -> Totals:
        """Return the totals of these runs and one more."""
        taken, outcome, exemplars = result.time_taken, result.outcome, self.exemplars
        for bound in settings.DURATION_BUCKETS:  # not bisected: it may be no number
            if taken <= bound:
                break
        else:
            bound = math.inf
        if result.exemplar:
            example = Exemplar(labels=result.exemplar, seconds=taken, finished=result.finished)
            exemplars = {**exemplars, bound: example}
        return Totals(
            runs={**self.runs, outcome: self.runs[outcome] + 1},
            durations={**self.durations, bound: self.durations.get(bound, 0) + 1},
            seconds=self.seconds + taken,
            exemplars=exemplars,
        )


NO_TOTALS = Totals()

UNKNOWN_TOTALS = Totals()
"""What stands for totals that the store has, and that could not be read there yet; compared by identity."""


class Record(NamedTuple):
    """All that is known of one check."""

    result: Result
    """The last run."""
    fresh_until: float
    """Until when it is fresh and not replaced, Unix time in seconds."""
    last_transition: float
    """When the state last became another one, Unix time in seconds."""
    seq: int = 1
    """The number of this record; each published one is greater than the one before."""
    totals: Totals = NO_TOTALS
    """What is counted of all runs."""
    last_success: float | None = None
    """When a run last ended without errors, Unix time in seconds."""
    streak: int = 1
    """How many runs in a row ended in this state."""
    release: str = ""
    """The release of the site that ran it."""

    @property
    def max_age(self) -> float:
        """For how many seconds it is fresh from the end of the run on."""
        return max(0.0, self.fresh_until - self.result.finished)

    @property
    def result_id(self) -> str:
        """What distinguishes this result from others of the check."""
        return f"{self.result.finished} {self.result.host} {self.result.pid}"

    @classmethod
    def after(
        cls, previous: Record | None, result: Result, *, max_age: float, seq: int | None = None, counts: bool = True
    ) -> Record:
        """Return the record of a check after one more run.

        Args:
            previous: The record so far; None before the first run.
            result: The outcome of the run.
            max_age: For how many seconds it is fresh.
            seq: Its number; default the next one.
            counts: Whether to count the run: a store counts it on top of what it has.
        """
        totals = previous.totals if previous else NO_TOTALS
        same = previous is not None and previous.result.state is result.state
        return cls(
            result=result,
            fresh_until=result.finished + max_age,
            seq=seq or (previous.seq + 1 if previous else 1),
            totals=totals.counting(result) if counts else totals,
            last_success=result.finished if result.state is State.OK else (previous.last_success if previous else None),
            last_transition=previous.last_transition if previous and same else result.finished,
            streak=previous.streak + 1 if previous and same else 1,
        )
