"""Messages, results and records."""

from __future__ import annotations

import dataclasses
import math

import pytest

from health_check.exceptions import (
    HealthCheckException,
    Misconfigured,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)
from health_check.records import (
    NO_TOTALS,
    UNKNOWN_ERROR,
    Kind,
    Message,
    Outcome,
    Record,
    Result,
    State,
    state_of,
    unavailable,
)

WARNING = Message.of(ServiceWarning("soon"))
ERROR = Message.of(ServiceUnavailable("gone"))


class Overload(ServiceWarning):
    """A user's own kind of warning."""

    message_type = "overload"


class Unspeakable(HealthCheckException):
    """Cannot be turned into a text."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def result(*messages: Message, finished: float = 1000.0, timed_out: bool = False) -> Result:
    """Return the outcome of a run."""
    return Result(
        messages=messages,
        timed_out=timed_out,
        time_taken=0.5,
        started=finished - 0.5,
        finished=finished,
        host="host",
        pid=1,
    )


def history(*results: Result) -> Record:
    """Return the record after these runs."""
    record = None
    for one in results:
        record = Record.after(record, one, max_age=10)
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ServiceWarning("soon"), Kind.WARNING, "warning: soon"),
        (ServiceUnavailable("gone"), Kind.UNAVAILABLE, "unavailable: gone"),
        (ServiceReturnedUnexpectedResult("odd"), Kind.UNEXPECTED, "unexpected result: odd"),
        (HealthCheckException("what?"), Kind.UNKNOWN, "unknown error: what?"),
        (Misconfigured("no url"), Kind.UNKNOWN, "misconfigured: no url"),
        (Overload("busy"), Kind.WARNING, "overload: busy"),
        ("just words", Kind.UNKNOWN, "unknown error: just words"),
        (ServiceUnavailable("at http://me:hunter2@x"), Kind.UNAVAILABLE, "unavailable: at http://***@x"),
    ],
)
def test_message_of__health_check_exceptions(error: object, kind: Kind, text: str) -> None:
    """The text of a HealthCheckException is shown, secrets masked; its class says what kind it is."""
    assert Message.of(error) == Message(kind=kind, text=text)


@pytest.mark.parametrize("error", [ValueError("hunter2"), SystemExit(3), None, 42, Unspeakable("x")])
def test_message_of__anything_else(error: object) -> None:
    """Of anything else, only that it happened is shown."""
    assert Message.of(error) == UNKNOWN_ERROR
    assert UNKNOWN_ERROR.text == "unknown error"


@pytest.mark.parametrize(
    "error",
    [
        ServiceWarning("soon"),
        ServiceWarning(""),
        ServiceUnavailable("gone"),
        ServiceUnavailable("unavailable: gone"),
        ServiceReturnedUnexpectedResult("odd\nindeed"),
        HealthCheckException("what?"),
        HealthCheckException("unknown error"),
        HealthCheckException(),
    ],
)
def test_as_exception__same_class_and_text(error: HealthCheckException) -> None:
    """A message gives back an exception like the one it came from, of an own class the one of ours above it."""
    again = Message.of(error).as_exception()
    assert (type(again), str(again)) == (type(error), str(error))
    own = Message.of(Overload("busy")).as_exception()
    assert (type(own), str(own)) == (ServiceWarning, "overload: busy")


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ((), State.OK),
        ((WARNING,), State.WARNING),
        ((WARNING, WARNING), State.WARNING),
        ((ERROR,), State.ERROR),
        ((WARNING, ERROR), State.ERROR),
        ((Message.of(Overload("busy")),), State.WARNING),
        ((Message.of("warning"),), State.ERROR),
        ((UNKNOWN_ERROR,), State.ERROR),
    ],
)
def test_state_of__messages(messages: tuple[Message, ...], state: State) -> None:
    """Without errors ok; only warnings are a warning; anything else is an error."""
    assert state_of(messages) is state
    assert result(*messages).state is state
    assert result(*messages).outcome == state.value


def test_outcome__timeout() -> None:
    """A run past its deadline is in error, and counted as a timeout."""
    timed_out = result(unavailable("timed out after 5 s"), timed_out=True)
    assert (timed_out.state, timed_out.outcome) == (State.ERROR, Outcome.TIMEOUT)
    assert timed_out.messages == (Message(kind=Kind.UNAVAILABLE, text="unavailable: timed out after 5 s"),)


TIMEOUT = result(ERROR, timed_out=True)


@pytest.mark.parametrize(
    ("results", "streak", "last_transition", "last_success", "runs"),
    [
        ([result()], 1, 0, 0, (1, 0, 0, 0)),
        ([result(ERROR), result(ERROR)], 2, 0, None, (0, 0, 2, 0)),
        ([result(ERROR), result(UNKNOWN_ERROR), TIMEOUT], 3, 0, None, (0, 0, 2, 1)),
        ([result(), result(), result(WARNING), result(ERROR)], 1, 3, 1, (2, 1, 1, 0)),
    ],
)
def test_after__each_run(
    results: list[Result], streak: int, last_transition: int, last_success: int | None, runs: tuple[int, ...]
) -> None:
    """A state that stays makes a streak; another one starts a new one; the last success, and all runs, stay known."""
    record = history(*(dataclasses.replace(one, finished=10.0 * number) for number, one in enumerate(results)))
    assert (record.seq, record.streak) == (len(results), streak)
    assert record.last_transition == 10.0 * last_transition
    assert record.last_success == (None if last_success is None else 10.0 * last_success)
    assert record.fresh_until == record.result.finished + 10
    assert tuple(record.totals.runs[outcome] for outcome in Outcome) == runs


@pytest.mark.parametrize(
    ("time_taken", "bound"),
    [
        (0.0, 0.005),
        (0.005, 0.005),
        (0.0050001, 0.025),
        (0.3, 0.5),
        (5.0, 5.0),
        (10.0, 10.0),
        (30.1, math.inf),
        (math.inf, math.inf),
        (math.nan, math.inf),
        (-1.0, 0.005),
    ],
)
def test_counting__counts_the_run_in_one_bucket(time_taken: float, bound: float) -> None:
    """A run counts once, in its outcome and in the bucket with the least bound that is not below its time."""
    totals = NO_TOTALS.counting(dataclasses.replace(result(WARNING), time_taken=time_taken))
    assert totals.durations == {bound: 1}
    assert dict(totals.runs) == {Outcome.OK: 0, Outcome.WARNING: 1, Outcome.ERROR: 0, Outcome.TIMEOUT: 0}


def test_counting__adds_to_what_was_counted() -> None:
    """Each run is added to its outcome, its bucket and the seconds; what was counted before does not change."""
    quick = dataclasses.replace(result(), time_taken=0.002)
    before = NO_TOTALS.counting(quick).counting(result())
    totals = before.counting(result(ERROR)).counting(result(ERROR, timed_out=True))
    assert dict(totals.runs) == {Outcome.OK: 2, Outcome.WARNING: 0, Outcome.ERROR: 1, Outcome.TIMEOUT: 1}
    assert totals.durations == {0.005: 1, 0.5: 3}
    assert totals.seconds == pytest.approx(1.502)
    assert sum(before.runs.values()) == 2


@pytest.mark.parametrize(("max_age", "expected"), [(10, 10.0), (0, 0.0), (-5, 0.0)])
def test_max_age__from_the_end_of_the_run(max_age: float, expected: float) -> None:
    """A record is fresh for its max_age from the end of its run on, and never for less than no time."""
    assert Record.after(None, result(), max_age=max_age).max_age == expected


def test_result_id__tells_results_apart() -> None:
    """Results of other times, hosts and processes are others; the same one in a later record is the same."""
    first = Record.after(None, result(), max_age=10)
    others = [result(finished=1001.0), dataclasses.replace(result(), host="b"), dataclasses.replace(result(), pid=2)]
    assert len({first.result_id, *(Record.after(None, one, max_age=10).result_id for one in others)}) == 4
    assert first._replace(seq=9).result_id == first.result_id
