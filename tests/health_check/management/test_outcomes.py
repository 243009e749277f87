"""What the command prints, of checks that ran here and of a server's answer."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from health_check.management.outcomes import (
    Line,
    Outcome,
    as_full_json,
    as_json,
    as_lines,
    as_table,
    outcome_of_answer,
    summary,
)
from health_check.records import State

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
PLAIN: dict[State, Any] = dict.fromkeys(State, str)

DATABASE = Line(
    label="Database", state=State.OK, text="OK", critical=True, time_taken=0.0042, finished=NOW - 3, since=NOW - 3600
)
SEARCH = Line(
    label="Search(index='customers')",
    state=State.ERROR,
    text="unavailable: the index of the customers is gone, and nobody knows where it has been put\nunknown error",
    critical=False,
    time_taken=1.25,
    finished=NOW - 400,
    since=NOW - 86400,
)
LONG = Line(label="a" * 90, state=State.WARNING, text="warning: full", critical=True)


@pytest.fixture
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    assert os.environ.get("TZ") == before
    time.tzset()


def outcome(*lines: Line, code: int = 200, failing: bool = False, **notices: str) -> Outcome:
    """Return an outcome of one endpoint, ready, and one that is in order, live."""
    codes = {"ready": code, "live": 200}
    return Outcome(lines=lines, status_codes=codes, failing=frozenset(["ready"] if failing else []), notices=notices)


@pytest.mark.usefixtures("_in_utc")
def test_table__at_80_columns() -> None:
    """What fails comes first, columns fit the longest label, and messages are below, within the terminal."""
    table = as_table(outcome(DATABASE, SEARCH, code=500, failing=True), width=80, paint=PLAIN, now=NOW)
    assert table.splitlines() == [
        "STATE  CHECK                      CRITICAL   TAKEN    AGE  SINCE (UTC)",
        "error  Search(index='customers')  no         1.2 s  6 min  2027-01-14 08:00",
        "       unavailable: the index of the customers is gone, and nobody knows where",
        "         it has been put",
        "       unknown error",
        "ok     Database                   yes       4.2 ms    3 s  07:00:00",
        "1 of 2 fails: 500 on ready",
    ]


def test_notices__come_first() -> None:
    """What is wrong besides the checks is said first, and not hidden by a check of its name."""
    drained = outcome(DATABASE, dataclasses.replace(DATABASE, label="draining"), code=503, draining="unavailable: x")
    texts = {"draining": "unavailable: x", "Database": "OK"}
    assert list(json.loads(as_json(drained)).items()) == list(texts.items())
    assert list(as_lines(drained)) == list(texts)


@pytest.mark.parametrize("width", [20, 80, 120])
def test_table__label_that_does_not_fit(width: int) -> None:
    """A label is never cut; one that is longer than the terminal does not move the columns of others."""
    table = as_table(outcome(LONG, DATABASE), width=width, paint=PLAIN, now=NOW)
    assert LONG.label in table
    head, _, _, database, _ = table.splitlines()
    assert len(head) <= max(width, 80)
    assert database.index("yes") == head.index("CRITICAL")


def test_table__paints_the_state_alone() -> None:
    """The state and the last line are coloured, by what they tell."""
    paint = {state: (lambda text, state=state: f"<{state.value}>{text}</>") for state in State}
    table = as_table(outcome(DATABASE, SEARCH, code=500, failing=True), width=80, paint=paint, now=NOW)
    assert "<ok>ok</>" in table
    assert "<error>error</>" in table
    assert table.endswith("<error>1 of 2 fails: 500 on ready</>")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (outcome(DATABASE, DATABASE), "All 2 are ok: 200 on every endpoint"),
        (outcome(DATABASE), "1 of 1 is ok: 200 on every endpoint"),
        (outcome(), "The server answers; the endpoint has no checks."),
        (outcome(DATABASE, SEARCH), "1 of 2 fails: 200 on every endpoint"),
        (outcome(DATABASE, LONG), "1 of 2 warns: 200 on every endpoint"),
        (outcome(SEARCH, SEARCH, LONG, code=500, failing=True), "2 of 3 fail, 1 of 3 warns: 500 on ready"),
        (
            outcome(DATABASE, code=503, failing=True, draining="unavailable: this host is drained"),
            "1 of 1 is ok, this host is drained: 503 on ready",
        ),
    ],
)
def test_summary__one_sentence(found: Outcome, text: str) -> None:
    """The last line says how many checks fail, and what the endpoints answer."""
    assert summary(found) == text


def test_answer__of_a_server_in_full() -> None:
    """What application/health+json tells of a check becomes what is printed."""
    check = {
        "status": "fail",
        "state": "error",
        "critical": False,
        "observedValue": 1.25,
        "observedUnit": "s",
        "time": "2027-01-15T07:53:20.000Z",
        "since": "2027-01-14T08:00:00.000Z",
        "output": SEARCH.text,
    }
    answer = {"status": "fail", "output": "unavailable: this host is drained", "checks": {SEARCH.label: [check]}}
    found = outcome_of_answer("ready", 503, answer)
    assert found.lines == (SEARCH,)
    assert (found.healthy, found.state) == (False, State.ERROR)
    assert json.loads(as_full_json(found)) == {
        "state": "error",
        "endpoints": {"ready": {"status_code": 503, "healthy": False}},
        "notices": {"draining": "unavailable: this host is drained"},
        "checks": {
            SEARCH.label: {
                "state": "error",
                "critical": False,
                "since": "2027-01-14T08:00:00.000Z",
                "finished": "2027-01-15T07:53:20.000Z",
                "time_taken": 1.25,
                "message": SEARCH.text,
            }
        },
    }


def test_answer__of_texts_alone() -> None:
    """A server that knows no application/health+json is understood, and so is what an own view answers beyond texts."""
    found = outcome_of_answer("ready", 200, {"a": "OK", "b": "warning: x", "c": None, "d": {"e": 1}, "checks": "y"})
    assert [(line.label, line.state, line.text) for line in found.lines] == [
        ("a", State.OK, "OK"),
        ("b", State.WARNING, "warning: x"),
        ("c", State.ERROR, "null"),
        ("d", State.ERROR, '{"e": 1}'),
        ("checks", State.ERROR, "y"),
    ]
    assert found.state is State.WARNING
    assert as_table(found, width=80, paint=PLAIN, now=NOW).splitlines()[0].split() == ["STATE", "CHECK"]


@pytest.mark.parametrize(
    "answer",
    [
        {
            "status": "pass",
            "checks": {"a": [], "b": [{"status": 1}], "c": [{"status": "x", "time": "soon", "state": []}]},
        },
        {"status": "pass", "checks": {"a": [{"status": "x", "observedValue": "1", "critical": "yes", "since": 3}]}},
        *(
            {"status": "pass", "checks": {"a": [{"status": "x", "observedValue": number, "since": moment}]}}
            for number, moment in [
                (math.inf, "0001-01-01T00:00:00+14:00"),
                (math.nan, "9999-12-31T23:59:59-14:00"),
                (-1e308, "0001-01-01T00:00:00"),
                (10**400, "9999-12-31T23:59:59"),
                (1e308, "2026-01-01"),
            ]
        ),
    ],
)
def test_answer__of_nonsense(answer: dict[str, Any]) -> None:
    """No answer makes the command fail with a traceback, or print what is no JSON."""
    found = outcome_of_answer("ready", 200, answer)
    assert as_table(found, width=80, paint=PLAIN, now=NOW)
    json.loads(as_full_json(found), parse_constant=pytest.fail)
