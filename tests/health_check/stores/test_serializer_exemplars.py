"""Exemplars in records as JSON, and what is remembered of the documents."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from health_check.records import Exemplar, Record, Result
from health_check.stores import serializer
from health_check.stores.serializer import Memo, dump, load

RESULT = Result(
    time_taken=0.1,
    started=100.0,
    finished=100.05,
    host="host",
    pid=1,
    exemplar={"trace_id": "0af7651916cd43dd8448eb211c80319c", "größe": "🐍"},
)
RECORD = Record.after(None, RESULT, max_age=10)


def test_exemplars__round_trip() -> None:
    """Exemplars of every bound, also of the last one, come back as they were."""
    example = RECORD.totals.exemplars[0.1]
    totals = RECORD.totals._replace(exemplars={0.1: example, math.inf: example})
    record = RECORD._replace(totals=totals)
    assert load(dump(record)) == record


def test_exemplars__document_of_before() -> None:
    """A document that knows nothing of exemplars is a record without any, which keeps its counts."""
    document = json.loads(dump(RECORD))
    del document["result"]["exemplar"]
    del document["totals"]["exemplars"]
    record = load(json.dumps(document))
    assert (record.result.exemplar, record.totals.exemplars) == ({}, {})
    assert record.totals.durations == RECORD.totals.durations
    assert Record.after(record, RESULT, max_age=10).totals.exemplars.keys() == {0.1}


@pytest.mark.parametrize(
    "exemplars",
    [
        5,
        [],
        {"0.1": None},
        {"0.1": [{}]},
        {"0.1": [{}, 1, 2, 3]},
        {"0.1": ["trace", 1, 2]},
        {"0.1": [{}, "x", 2]},
        {"x": [{}, 1, 2]},
    ],
)
def test_exemplars__garbage(exemplars: object) -> None:
    """What are no exemplars make the document no record, and no other exception."""
    document = json.loads(dump(RECORD))
    document["totals"]["exemplars"] = exemplars
    with pytest.raises(ValueError, match=r"not a record|could not convert|values to unpack"):
        load(json.dumps(document))


def test_exemplars__as_a_store_keeps_them() -> None:
    """Numbers in the place of texts become texts."""
    document = json.loads(dump(RECORD))
    document["totals"]["exemplars"] = {"0.1": [{"trace_id": 17}, 1, 2]}
    assert load(json.dumps(document)).totals.exemplars == {
        0.1: Exemplar(labels={"trace_id": "17"}, seconds=1.0, finished=2.0)
    }


def test_memo__parses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is the same as the last one of its name is not parsed again; one that is not, is."""
    parsed: list[str] = []

    def noting(text: str) -> Record:
        parsed.append(text)
        return load(text)

    monkeypatch.setattr(serializer, "load", noting)
    memo, text, other = Memo(), dump(RECORD), dump(RECORD._replace(seq=2))
    assert memo.load("a", text) is memo.load("a", "".join(text))
    assert memo.load("b", text) == RECORD
    found = memo.load("a", other)
    assert found is not None
    assert found.seq == 2
    assert memo.load("a", text) == RECORD
    assert parsed == [text, text, other, text]


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[]", "null", None, b"{}", 5, {}])
def test_memo__no_record(text: object) -> None:
    """A document that is no record is None, each time, before there is a good one and after it."""
    memo = Memo()
    assert [memo.load("a", one) for one in (text, text, dump(RECORD), text, dump(RECORD))] == [
        *(None, None, RECORD, None, RECORD)
    ]


def test_memo__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names there are, only so many are remembered, and all are right."""
    monkeypatch.setattr(serializer, "MOST_REMEMBERED", 10)
    memo = Memo()
    for number in range(100):
        record = RECORD._replace(seq=number)
        assert memo.load(str(number), dump(record)) == record
        assert len(memo._loaded) <= 10


def test_totals__count_on_after_a_document() -> None:
    """Totals that went through a document count on as those that did not."""
    later = dataclasses.replace(RESULT, finished=200.0)
    found = load(dump(RECORD)).totals.counting(later)
    assert found == RECORD.totals.counting(later)
    assert found.durations == {0.1: 2}
    assert [example.finished for example in found.exemplars.values()] == [200.0]
