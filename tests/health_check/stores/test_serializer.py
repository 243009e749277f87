"""Records as JSON: what goes in comes out, and nothing else comes out."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import pytest

from health_check.conf import DEFAULT_DURATION_BUCKETS
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceWarning
from health_check.records import NO_RUNS, UNKNOWN_ERROR, Message, Outcome, Record, Result, Totals
from health_check.stores import serializer
from tests.support.places import ERROR, result_at

OK = result_at(1_700_000_000.123456)
FAILED = dataclasses.replace(
    OK,
    messages=(ERROR, Message.of(ServiceWarning('Größe 数据库 🩺\n"quoted"\\ \x7f')), UNKNOWN_ERROR),
    timed_out=True,
    error_type="timeout",
    host="höst",
    time_taken=1e-9,
)
RECORDS = [
    Record.after(None, OK, max_age=10),
    Record.after(None, FAILED, max_age=0),
    Record.after(Record.after(None, OK, max_age=10), FAILED, max_age=0.1),
    Record.after(None, dataclasses.replace(OK, time_taken=1e6), max_age=1e9),
    Record(
        result=dataclasses.replace(OK, messages=(Message.of(ServiceReturnedUnexpectedResult("")),), backend=""),
        fresh_until=0.1 + 0.2,
        seq=2**60,
        totals=Totals(
            runs={**NO_RUNS, Outcome.TIMEOUT: 2**53 + 1},
            durations=dict.fromkeys((*DEFAULT_DURATION_BUCKETS, math.inf), 3),
            seconds=0.1 + 0.2,
        ),
        last_success=None,
        last_transition=-1.0,
        streak=0,
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_record__round_trip(record: Record) -> None:
    """A record comes back as it was, to the last bit, with types that it had."""
    again = serializer.load(serializer.dump(record))
    assert again == record
    assert again.result.outcome is record.result.outcome
    assert [type(outcome) for outcome in again.totals.runs] == [Outcome] * len(Outcome)
    assert serializer.dump(again) == serializer.dump(record)


@pytest.mark.parametrize("result", [OK, FAILED], ids=["ok", "failed"])
def test_result__round_trip(result: Result) -> None:
    """A result comes back as it was."""
    again = serializer.load(serializer.dump(Record.after(None, result, max_age=10))).result
    assert again == result
    assert isinstance(again.messages, tuple)


def test_record__is_strict_json_and_unicode() -> None:
    """Other programs can read it: there is no Infinity in it, and texts are as they are."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = serializer.dump(RECORDS[3])
    document = json.loads(text, parse_constant=refuse)
    assert document["totals"]["durations"] == {str(math.inf): 1}
    assert "数据库" in serializer.dump(RECORDS[1])


def test_record__of_fewer_outcomes() -> None:
    """An outcome that a document does not know was never counted."""
    document = json.loads(serializer.dump(RECORDS[0]))
    document["totals"]["runs"] = {"ok": 5}
    assert dict(serializer.load(json.dumps(document)).totals.runs) == {**NO_RUNS, Outcome.OK: 5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"text"',
        "{}",
        '{"version": 1}',
        '{"version": 1, "result": null}',
        "\x00",
        "[" * 99,
        "[" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_load__garbage(text: str) -> None:
    """What is no record is a ValueError, whatever else it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the JSON module's
        serializer.load(text)


@pytest.mark.parametrize("version", [0, 1, serializer.VERSION + 1, str(serializer.VERSION), None])
def test_load__other_version(version: object) -> None:
    """A record of another version is not guessed at."""
    document = {**json.loads(serializer.dump(RECORDS[0])), "version": version}
    with pytest.raises(ValueError, match="a record of version"):
        serializer.load(json.dumps(document))


NOTHINGS: tuple[object, ...] = (None, "x", [], {})
NUMBERS = ("fresh_until", "last_transition", "seq", "streak")


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in (*NUMBERS, "result", "totals", "version") for value in NOTHINGS]
    + [("seq", math.inf), ("streak", math.inf), ("seq", math.nan)]
    + [("fresh_until", 10**400), ("last_transition", 10**400), ("last_success", 10**400)]
    + [("seq", 10**400), ("fresh_until", math.inf), ("last_transition", math.nan), ("last_success", 1e15)],
    ids=lambda value: str(value)[:10],
)
def test_load__a_field_that_is_none(name: str, value: object) -> None:
    """A field that cannot be what it should be spoils the record; that is a ValueError, too."""
    with pytest.raises(ValueError):  # noqa: PT011
        serializer.load(changed(lambda document: document.update({name: value})))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["result"].update(messages=[["nonsense", "x"]]),
        lambda document: document["result"].update(messages=["x"]),
        lambda document: document["result"].update(pid="x"),
        lambda document: document["result"].pop("host"),
        lambda document: document["totals"].update(runs={"nonsense": 1}),
        lambda document: document["totals"].update(runs=[1]),
        lambda document: document["result"].update(messages=[["unavailable", "x" * 500_000]]),
        lambda document: document["totals"].update(runs={"ok": 10**400}),
        lambda document: document["totals"].update(runs={"ok": -1}),
        lambda document: document["totals"].update(durations={"nan": 1}),
        lambda document: document["totals"].update(seconds=-1.0),
        lambda document: document["totals"].update(seconds=math.inf),
        lambda document: document["result"].update(finished=math.nan),
        lambda document: document["totals"].update(durations={"x": 1}),
        lambda document: document["totals"].pop("seconds"),
        lambda document: document.update(last_success="x"),
    ],
)
def test_load__a_part_that_is_none(change: Callable[[dict[str, object]], object]) -> None:
    """So does a part that is missing, or of another kind."""
    with pytest.raises(ValueError):  # noqa: PT011
        serializer.load(changed(change))


def changed(change: Callable[[dict[str, object]], object]) -> str:
    """Return a record's document after some change."""
    document = json.loads(serializer.dump(RECORDS[0]))
    change(document)
    return json.dumps(document)
