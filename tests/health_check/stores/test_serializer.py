"""Records as JSON: what goes in comes out, nothing else comes out, and what is remembered of it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from health_check.conf import DEFAULT_DURATION_BUCKETS
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceWarning
from health_check.records import NO_RUNS, UNKNOWN_ERROR, Exemplar, Message, Outcome, Record, Totals
from health_check.stores import serializer
from health_check.stores.serializer import Memo, dump, load
from tests.support.places import ERROR, result_at

EXEMPLAR = Exemplar(labels={"trace_id": "0af7651916cd43dd8448eb211c80319c", "größe": "🐍"}, seconds=0.1, finished=2.0)
OK = result_at(1_700_000_000.123456)
TRACED = dataclasses.replace(OK, exemplar=EXEMPLAR.labels)
FAILED = dataclasses.replace(
    OK,
    messages=(
        ERROR,
        Message.of(ServiceWarning('Größe 数据库 🩺\n"quoted"\\ \x7f')),
        dataclasses.replace(UNKNOWN_ERROR, time=1e9),
    ),
    pretty_status="PONG",
    timed_out=True,
    error_type="timeout",
    host="höst",
    time_taken=1e-9,
)
RECORD = Record.after(None, TRACED, max_age=10)
RECORDS = [
    RECORD,
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
            exemplars={0.1: EXEMPLAR, math.inf: EXEMPLAR},
        ),
        last_success=None,
        last_transition=-1.0,
        streak=0,
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_record__round_trip(record: Record) -> None:
    """A record comes back as it was, to the last bit, with types that it had; its totals count on as before."""
    again = load(dump(record))
    assert again == record
    assert again.result.outcome is record.result.outcome
    assert [type(outcome) for outcome in again.totals.runs] == [Outcome] * len(Outcome)
    assert dump(again) == dump(record)
    assert again.totals.counting(TRACED) == record.totals.counting(TRACED)


def test_record__is_strict_json_and_unicode() -> None:
    """Other programs can read it: there is no Infinity in it, and texts are as they are."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(dump(RECORDS[3]), parse_constant=refuse)
    assert document["totals"]["durations"] == {str(math.inf): 1}
    assert "数据库" in dump(RECORDS[1])


def test_load__document_of_before() -> None:
    """What a document does not know of was never counted; numbers in the place of texts become texts."""
    document = json.loads(dump(RECORD))
    document["totals"]["runs"] = {"ok": 5}
    del document["result"]["exemplar"]
    document["totals"]["exemplars"] = {"0.1": [{"trace_id": 17}, 1, 2]}
    record = load(json.dumps(document))
    assert dict(record.totals.runs) == {**NO_RUNS, Outcome.OK: 5}
    assert record.totals.exemplars == {0.1: Exemplar(labels={"trace_id": "17"}, seconds=1.0, finished=2.0)}
    del document["totals"]["exemplars"]
    record = load(json.dumps(document))
    assert (record.result.exemplar, record.totals.exemplars) == ({}, {})
    assert record.totals.durations == RECORD.totals.durations


GARBAGE = ["", "{", "null", "[]", "7", '"text"', "{}", '{"version": 1, "result": null}', "\x00", "[" * 100_000]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: text[:20])
def test_load__garbage(text: str) -> None:
    """What is no record is a ValueError, whatever else it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the JSON module's
        load(text)


@pytest.mark.parametrize("version", [0, serializer.VERSION + 1, str(serializer.VERSION), None])
def test_load__other_version(version: object) -> None:
    """A record of another version is not guessed at."""
    with pytest.raises(ValueError, match="a record of version"):
        load(changed(lambda document: document.update(version=version)))


NOTHINGS: tuple[object, ...] = (None, "x", [], {})
NUMBERS = ("fresh_until", "last_transition", "seq", "streak")
FIELDS: list[tuple[str, object]] = [
    *((name, value) for name in (*NUMBERS, "result", "totals") for value in NOTHINGS),
    *((name, value) for name in ("seq", "streak", "fresh_until") for value in (math.inf, math.nan, 10**400)),
    *((name, value) for name in ("last_transition", "last_success") for value in (math.nan, 10**400, 1e15, "x")),
]
"""Fields of a record, and what cannot be their values."""


@pytest.mark.parametrize(("name", "value"), FIELDS, ids=lambda value: str(value)[:10])
def test_load__a_field_that_is_none(name: str, value: object) -> None:
    """A field that cannot be what it should be spoils the record; that is a ValueError, too."""
    with pytest.raises(ValueError):  # noqa: PT011
        load(changed(lambda document: document.update({name: value})))


PARTS: dict[tuple[str, str], list[object]] = {
    ("result", "messages"): [[["nonsense", "x"]], ["x"], [["unavailable", "x" * 500_000]]],
    ("result", "pid"): ["x"],
    ("result", "finished"): [math.nan],
    ("totals", "runs"): [{"nonsense": 1}, [1], {"ok": 10**400}, {"ok": -1}],
    ("totals", "durations"): [{"nan": 1}, {"x": 1}],
    ("totals", "seconds"): [-1.0, math.inf],
    ("totals", "exemplars"): [5, [], {"x": [{}, 1, 2]}],
    ("totals", "exemplars of 0.1"): [None, [{}], [{}, 1, 2, 3], ["trace", 1, 2], [{}, "x", 2]],
}
"""Parts of a record, and what cannot be their values."""


@pytest.mark.parametrize(("part", "value"), [(part, value) for part, some in PARTS.items() for value in some], ids=str)
def test_load__a_part_that_is_none(part: tuple[str, str], value: object) -> None:
    """So does a part of another kind."""
    of, name = part
    values = {"exemplars": {"0.1": value}} if name == "exemplars of 0.1" else {name: value}
    with pytest.raises(ValueError):  # noqa: PT011
        load(changed(lambda document: document[of].update(values)))


@pytest.mark.parametrize(("part", "name"), [("result", "host"), ("totals", "seconds")])
def test_load__a_part_that_is_missing(part: str, name: str) -> None:
    """And one that is missing."""
    with pytest.raises(ValueError, match="not a record"):
        load(changed(lambda document: document[part].pop(name)))


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """Return a record's document after some change."""
    document = json.loads(dump(RECORD))
    change(document)
    return json.dumps(document)


def test_memo__parses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is the same as the last one of its name is not parsed again; one that is not, is."""
    parsed: list[str] = []

    def noting(text: str) -> Record:
        parsed.append(text)
        return load(text)

    monkeypatch.setattr(serializer, "load", noting)
    memo, text, other = Memo(), dump(RECORD), dump(RECORD._replace(seq=2))
    assert memo.load("a", text) is memo.load("a", "".join(text))
    assert memo.load("b", text) == memo.load("a", text) == RECORD
    assert memo.load("a", other) == RECORD._replace(seq=2)
    assert memo.load("a", text) == RECORD
    assert parsed == [text, text, other, text]


@pytest.mark.parametrize("text", ["nonsense", None, b"{}", {}])
def test_memo__no_record(text: object) -> None:
    """A document that is no record is None, each time, before there is a good one and after it."""
    memo = Memo()
    found = [memo.load("a", one) for one in (text, text, dump(RECORD), text, dump(RECORD))]
    assert found == [None, None, RECORD, None, RECORD]


def test_memo__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names there are, only so many are remembered, and all are right."""
    monkeypatch.setattr(serializer, "MOST_REMEMBERED", 10)
    memo = Memo()
    for number in range(100):
        record = RECORD._replace(seq=number)
        assert memo.load(str(number), dump(record)) == record
        assert len(memo._loaded) <= 10
