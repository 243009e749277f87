"""Observers of runs: what they hear, in which context checks execute, and the exemplars that they give."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.records import NO_TOTALS, Exemplar, Record, Result
from health_check.runner import observers
from health_check.runner.observers import Observer, Observers, RunObserver, Trigger
from tests.conftest import Mount
from tests.support.bench import Bench, Held, defined, eventually
from tests.support.checks import AsyncFine, Broken, Fine
from tests.support.observing import Noting, inside, observed

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}

RESULT = Result(time_taken=0.05, started=100.0, finished=100.05, host="host", pid=1, exemplar=TRACE)

FINE = defined(lambda check: None)

Register = Callable[[Observer], object]


@pytest.fixture
def register() -> Iterator[Register]:
    """A function that has an observer follow the runs of this test."""
    with contextlib.ExitStack() as stack:
        yield lambda observer: stack.enter_context(observed(observer))


def test_register__follows_a_reading(register: Register) -> None:
    """An observer hears of the round, of each run in it, and of both ends; the check executes in its context."""
    noting = Noting()
    register(noting)
    seen: list[str] = []
    definition = defined(lambda check: seen.append(inside.get()))
    Bench().monitor.read([definition], inline=True)
    run = f"run {definition.label}"
    assert noting.heard == ["round", run, "enter", "leave", "end ok", "end"]
    assert (seen, inside.get()) == (["one"], "nobody")


def test_register__hears_of_the_deadline(register: Register, on_threads: None, bench: Bench, held: Held) -> None:
    """A round begins once, its runs follow, and it ends with the last outcome: at the deadline if it must."""
    noting = Noting()
    register(noting)
    bench.monitor.read([FINE, defined(held, timeout=0.1)])
    eventually(lambda: "end" in noting.heard)
    assert noting.heard[0] == "round"
    assert noting.heard.index("end") > noting.heard.index("end timeout")
    assert sorted(word for word in noting.heard if word.startswith("end")) == ["end", "end ok", "end timeout"]
    assert noting.words.count("run") == 2


def test_register__each_once(register: Register) -> None:
    """An observer that is registered twice hears everything once; an unregistered one nothing."""
    noting, gone = Noting(), Noting()
    for observer in (noting, noting, gone):
        register(observer)
    observers.unregister_observer(gone)
    observers.unregister_observer(gone)
    Observers().run(FINE).end(RESULT)
    assert noting.words == ["round", "run", "end"]
    assert gone.heard == []


def test_observers__several_nest(register: Register) -> None:
    """Contexts of several observers nest in the order in which they were registered."""
    order: list[str] = []
    for name in ("outer", "inner"):
        noting = Noting(name)
        noting.heard = order
        register(noting)
    with Observers().run(FINE).attach():
        assert inside.get() == "inner"
    assert order[-4:] == ["enter", "enter", "leave", "leave"]
    assert inside.get() == "nobody"


@pytest.mark.parametrize("moment", ["round", "run", "enter", "leave", "end"])
@pytest.mark.parametrize("position", [0, 1])
def test_observers__failing_one_harms_nothing(
    moment: str, position: int, register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    """An observer that raises at any moment is logged; the check and other observers do not notice."""
    pair = [Noting("good"), Noting("bad", fails_at=moment)]
    for observer in pair if position else reversed(pair):
        register(observer)
    ran: list[int] = []
    definition = defined(lambda check: ran.append(1))
    with caplog.at_level(logging.ERROR, "health_check"):
        (reading,) = Bench().monitor.read([definition], inline=True)
    assert (ran, reading.status) == ([1], 1)
    assert pair[0].words == ["round", "run", "enter", "leave", "end", "end"]
    assert "An observer of health checks failed" in caplog.text


def test_observers__default_ones_do_nothing() -> None:
    """The base classes can be used as they are."""
    round_ = Observer().round(Trigger.REQUEST, failing=False)
    run = round_.run(FINE)
    with run.attach():
        run.end(RESULT)
    round_.end()
    assert type(run) is RunObserver


def test_counting__has_the_run_as_an_example() -> None:
    """The totals of a run that can be found elsewhere have it under the bound it is counted under; others count."""
    found = NO_TOTALS.counting(RESULT)
    assert found.exemplars == {0.1: Exemplar(labels=TRACE, seconds=0.05, finished=100.05)}
    assert found.exemplars.keys() == found.durations.keys()
    assert NO_TOTALS.counting(dataclasses.replace(RESULT, time_taken=1e9)).exemplars.keys() == {math.inf}
    without = NO_TOTALS.counting(dataclasses.replace(RESULT, exemplar={}))
    assert (without.exemplars, sum(without.durations.values())) == ({}, 1)


def test_record_after__collects_them() -> None:
    """A record has the last run of each bound as an example."""
    record: Record | None = None
    for number, seconds in enumerate([0.05, 2.0, 0.04, 3.0]):
        result = dataclasses.replace(RESULT, time_taken=seconds, finished=100.0 + number)
        record = Record.after(record, result, max_age=10)
    assert record is not None
    found = {bound: (one.seconds, one.finished) for bound, one in record.totals.exemplars.items()}
    assert found == {0.1: (0.04, 102.0), 2.5: (2.0, 101.0), 5.0: (3.0, 103.0)}


def nonsense() -> Any:
    """Fail."""
    raise ZeroDivisionError("a defect of an observer's")


@pytest.mark.parametrize("limit", [0, 4], ids=["here", "threads"])
@pytest.mark.parametrize(
    ("said", "exemplar"),
    [
        ([{"trace_id": TRACE["trace_id"]}, {"span_id": TRACE["span_id"]}], TRACE),
        ([{}], {}),
        ([{"attempt": 17}], {"attempt": "17"}),  # what is no text becomes one
        *(([wrong, TRACE], TRACE) for wrong in (nonsense, "text", 17, [("a", "b")], None)),
    ],
)
def test_run__passes_on_what_observers_say(
    said: list[Any],
    exemplar: dict[str, str],
    limit: int,
    register: Register,
    settings: Settings,
    mount_checks: Mount,
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The result of each run has what all observers say of it, and so have its totals; what is wrong harms none."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": limit, "MAX_AGE": 60, "TIMEOUT": 1}
    for one in said:
        register(Noting(exemplar=one if callable(one) else lambda one=one: one))  # type: ignore[misc]
    mount_checks(Fine, Broken, AsyncFine)
    assert client.get("/health/", {"format": "json"}).json()["Fine"] == "OK"
    readings = runtime.read().readings
    assert [reading.record and reading.record.result.exemplar for reading in readings] == [exemplar] * 3
    totals = runtime.store_summary(readings).totals
    assert totals is not None
    examples = [dict(one.labels) for reading in readings for one in totals[reading.label].exemplars.values()]
    assert examples == ([exemplar] * 3 if exemplar else [])
    assert not [record for record in caplog.records if record.getMessage().startswith("Fine ")]
    assert all(record.levelno >= logging.WARNING for record in caplog.records)
    page = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).content.decode()
    assert ('# {attempt="17"} ' in page) is ("attempt" in exemplar)
