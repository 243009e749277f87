"""Records as JSON text, as stores that other processes see keep them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from health_check.durations import MOST_SAMPLES
from health_check.past import MOST_FAILURES, Change, Failure, Period
from health_check.records import NO_RUNS, Exemplar, Kind, Message, Outcome, Record, Result, State, Totals

T = TypeVar("T")

MOST_REMEMBERED = 10_000
"""How many documents to remember."""

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

RESULT_FIELDS = tuple(field.name for field in dataclasses.fields(Result))

STATES = {state.value: state.value for state in State}

VERSION = 3
"""The version of the schema of records and results, to be raised with every change of what is written here.

It is part of the name under which a store keeps a record, its lease and its past (``Store._name``), so that two
versions of this package side by side each have their own: neither reads, overwrites or deletes the other's.
"""


MOST_LENGTH = 500_000
"""How many characters a record has at most: what a check reports is bounded, so a longer one is forged."""

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in Unix time: nothing can show a later one."""

FINITE = sys.float_info.max

MOST_COUNTED = 2**62
"""Larger numbers do not fit where they are shown and stored."""


def dump(record: Record) -> str:
    """Return a record as JSON."""
    totals = record.totals
    return text_of(
        {
            "version": VERSION,
            "result": _of_result(record.result),
            "fresh_until": record.fresh_until,
            "seq": record.seq,
            "totals": {
                "runs": totals.runs,
                "durations": {str(bound): count for bound, count in totals.durations.items()},
                "seconds": totals.seconds,
                "exemplars": {str(bound): _of_exemplar(example) for bound, example in totals.exemplars.items()},
            },
            "last_success": record.last_success,
            "last_transition": record.last_transition,
            "streak": record.streak,
            "release": record.release,
        }
    )


def load(text: str) -> Record:
    """Return the record that a JSON text is.

    Raises:
        ValueError: If it is none, one of another version, or longer than any that a run leads to.
    """
    if len(text) > MOST_LENGTH:
        raise ValueError(f"a record of {len(text)} characters")
    return _loaded(text, _to_record)


def dump_lines(items: Iterable[Change | Failure]) -> str:
    """Return changes or failures as lines of JSON, each with its end: such texts can be put together, and cut."""
    return "".join(
        f"{text_of(_of_change(item) if isinstance(item, Change) else _of_failure(item))}\n" for item in items
    )


def last_failures(text: object, failures: Iterable[Failure], *, are_older: bool = False) -> str:
    """Return the last failures of a check as text: those of a text and more.

    Args:
        text: What was kept so far.
        failures: The others, oldest first.
        are_older: Whether they were before those in the text.
    """
    parts = [text if isinstance(text, str) else "", dump_lines(failures)]
    lines = "\n".join(reversed(parts) if are_older else parts).split("\n")
    return "\n".join([line for line in lines if line][-MOST_FAILURES:])


def load_changes(text: object) -> list[Change]:
    """Return the changes that lines of JSON are; what is none is left out."""
    return _lines(text, _to_change) if isinstance(text, str) else []


def load_failures(text: object) -> list[Failure]:
    """Return the failures that lines of JSON are; what is none is left out."""
    return _lines(text, _to_failure) if isinstance(text, str) else []


def _lines(text: str, convert: Callable[[Any], T]) -> list[T]:
    lines = [line for line in text.split("\n") if line]
    with contextlib.suppress(ValueError):  # all at once, as nearly always: there may be thousands
        return _loaded(f"[{','.join(lines)}]", lambda items: [convert(item) for item in items])
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(_loaded(line, convert))
    return found


def of_period(period: Period) -> list[Any]:
    """Return what is written of a period: its length is known."""
    times = period.times.decode("ascii", "replace")
    return [period.start, *period[2:6], round(period.time_taken, 6), round(period.longest, 6), times]


def to_period(numbers: Any, length: int) -> Period:
    """Return the period of a length that was written.

    Raises:
        ValueError: If it is none.
        TypeError: If it is none.
    """
    start, *counts, taken, longest, times = numbers
    ok, warning, error, timeout = map(_count, counts)
    times = str(times)[: 2 * MOST_SAMPLES].encode("ascii", "replace")
    return Period(int(_moment(start)), length, ok, warning, error, timeout, _seconds(taken), _seconds(longest), times)


def _of_change(change: Change) -> tuple[float, str, str, str]:
    return round(change.time, 3), change.state, change.host, change.message


def _to_change(line: Any) -> Change:
    time, state, host, message = line
    return Change(_moment(time), STATES[state], str(host), str(message))


def _of_failure(failure: Failure) -> tuple[float, str, str, str, str | None]:
    return round(failure.finished, 3), failure.state.value, failure.host, failure.message, failure.trace_id


def _to_failure(line: Any) -> Failure:
    finished, state, host, message, trace_id = line
    return Failure(
        finished=_moment(finished),
        state=State(state),
        host=str(host),
        message=str(message),
        trace_id=_to_text(trace_id),
    )


class Memo:
    """Remember what the documents of records said last: most are read again and again before they change."""

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[str, Record | None]] = {}

    def load(self, name: str, text: object) -> Record | None:
        """Return the record that a document is; None if it is none.

        Args:
            name: What the document is called; only its last text is remembered.
            text: The document.
        """
        if not isinstance(text, str):
            return None
        known = self._loaded.get(name)
        if known is not None and known[0] == text:
            return known[1]
        try:
            record = load(text)
        except ValueError:
            record = None
        self.note(name, text, record)
        return record

    def note(self, name: str, text: str, record: Record | None) -> None:
        """Remember what a document says."""
        if len(self._loaded) >= MOST_REMEMBERED:
            self._loaded.clear()
        self._loaded[name] = text, record


def text_of(document: object) -> str:
    """Return a document as JSON."""
    text = ENCODER.encode(document)
    return text.encode("utf-8", "backslashreplace").decode()  # what UTF-8 cannot say becomes an escape of JSON's


def _loaded(text: str, convert: Callable[[Any], T]) -> T:
    try:
        return convert(json.loads(text))
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a record: {error!r}") from error


def _of_result(result: Result) -> dict[str, Any]:
    document = {name: getattr(result, name) for name in RESULT_FIELDS}
    if result.pretty_status is None:
        del document["pretty_status"]
    messages = [[message.kind, message.text] for message in result.messages]
    times = [message.time for message in result.messages]
    dated = {"times": times} if any(moment is not None for moment in times) else {}
    return {**document, "messages": messages, "exemplar": dict(result.exemplar), **dated}


def _to_result(document: Mapping[str, Any]) -> Result:
    return Result(
        messages=tuple(
            Message(kind=Kind(kind), text=str(text), time=None if moment is None else _moment(moment))
            for (kind, text), moment in itertools.zip_longest(document["messages"], document.get("times", ()))
        ),
        timed_out=bool(document["timed_out"]),
        error_type=_to_text(document["error_type"]),
        time_taken=_seconds(document["time_taken"]),
        started=_moment(document["started"]),
        finished=_moment(document["finished"]),
        host=str(document["host"]),
        pid=_count(document["pid"]),
        backend=str(document["backend"]),
        exemplar=_to_labels(document.get("exemplar", {})),
        pretty_status=_to_text(document.get("pretty_status")),
    )


def _number(value: Any, least: float = -FINITE, most: float = FINITE) -> float:
    number = float(value)
    if not least <= number <= most:  # nor is what is no number
        raise ValueError(f"{number} is not between {least} and {most}")
    return number


def _bound(value: Any) -> float:
    return _number(value, -math.inf, math.inf)


def _moment(value: Any) -> float:
    return _number(value, -LAST_MOMENT, LAST_MOMENT)


def _seconds(value: Any) -> float:
    return _number(value, 0.0)


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= MOST_COUNTED:
        raise ValueError("so many cannot be counted")
    return number


def _to_text(value: object) -> str | None:
    return None if value is None else str(value)


def _of_exemplar(example: Exemplar) -> tuple[dict[str, str], float, float]:
    return dict(example.labels), example.seconds, example.finished


def _to_exemplar(document: tuple[Mapping[str, Any], Any, Any]) -> Exemplar:
    labels, seconds, finished = document
    return Exemplar(labels=_to_labels(labels), seconds=_seconds(seconds), finished=_moment(finished))


def _to_labels(document: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in document.items()}


def _to_record(document: Mapping[str, Any]) -> Record:
    if document["version"] != VERSION:
        raise ValueError(f"a record of version {document['version']!r}")
    totals, success = document["totals"], document["last_success"]
    return Record(
        result=_to_result(document["result"]),
        fresh_until=_number(document["fresh_until"]),
        seq=_count(document["seq"]),
        totals=Totals(
            runs={**NO_RUNS, **{Outcome(outcome): _count(count) for outcome, count in totals["runs"].items()}},
            durations={_bound(bound): _count(count) for bound, count in totals["durations"].items()},
            seconds=_seconds(totals["seconds"]),
            exemplars={_bound(bound): _to_exemplar(e) for bound, e in totals.get("exemplars", {}).items()},
        ),
        last_success=None if success is None else _moment(success),
        last_transition=_moment(document["last_transition"]),
        streak=_count(document["streak"]),
        release=str(document["release"]),
    )
