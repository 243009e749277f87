"""What is known of a check: its last result and its history, frozen."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)
from health_check.masking import showable


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

    @classmethod
    def of(cls, error: object) -> Message:
        """Return the message of an error; of anything but a HealthCheckException the text is not shown."""
        if isinstance(error, str):
            error = HealthCheckException(error)
        if not isinstance(error, HealthCheckException):
            return UNKNOWN_ERROR
        kind = next(kind for kind, exception in _EXCEPTIONS.items() if isinstance(error, exception))
        try:
            return cls(kind=kind, text=showable(str(error)))
        except Exception:
            return UNKNOWN_ERROR

    def as_exception(self) -> HealthCheckException:
        """Return an exception of the kind and text of this message."""
        exception = _EXCEPTIONS[self.kind]
        prefix = f"{exception.message_type}: "
        if self.text.startswith(prefix) or self.text == exception.message_type:
            return exception(self.text.removeprefix(prefix))
        error = exception()
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

    @property
    def state(self) -> State:
        """The state the check was found in."""
        return state_of(self.messages)

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        return Outcome.TIMEOUT if self.timed_out else Outcome(self.state)


NO_RUNS: Mapping[Outcome, int] = dict.fromkeys(Outcome, 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of one check."""

    result: Result
    """The last run."""
    fresh_until: float
    """Until when it is fresh and not replaced, Unix time in seconds."""
    seq: int = 1
    """The number of this record; each published one is greater than the one before."""
    runs: Mapping[Outcome, int] = dataclasses.field(default_factory=lambda: NO_RUNS)
    """How many runs there were, by outcome."""
    last_success: float | None = None
    """When a run last ended without errors, Unix time in seconds."""
    last_transition: float
    """When the state last became another one, Unix time in seconds."""
    streak: int = 1
    """How many runs in a row ended in this state."""

    @classmethod
    def after(cls, previous: Record | None, result: Result, *, max_age: float) -> Record:
        """Return the record of a check after one more run.

        Args:
            previous: The record so far; None before the first run.
            result: The outcome of the run.
            max_age: For how many seconds it is fresh.
        """
        same = previous is not None and previous.result.state is result.state
        runs = previous.runs if previous else NO_RUNS
        return cls(
            result=result,
            fresh_until=result.finished + max_age,
            seq=previous.seq + 1 if previous else 1,
            runs={**runs, result.outcome: runs[result.outcome] + 1},
            last_success=result.finished if result.state is State.OK else (previous.last_success if previous else None),
            last_transition=previous.last_transition if previous and same else result.finished,
            streak=previous.streak + 1 if previous and same else 1,
        )

    def still_running(self, message: Message, *, fresh_until: float) -> Record:
        """Return the record of a check whose timed-out run goes on: no new run, but something new to say."""
        result = dataclasses.replace(self.result, messages=(message,))
        return dataclasses.replace(self, result=result, fresh_until=fresh_until, seq=self.seq + 1)
