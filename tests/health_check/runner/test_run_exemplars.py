"""The exemplars: from what follows runs, to the totals of a check."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.records import NO_TOTALS, Exemplar, Record, Result
from health_check.registry.definitions import Definition
from health_check.runner import observers
from health_check.runner.observers import Observer, RoundObserver, RunObserver
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}

RESULT = Result(time_taken=0.05, started=100.0, finished=100.05, host="host", pid=1, exemplar=TRACE)

Follow = Callable[[Callable[[], Any]], None]


class Following(Observer):
    """Follow runs, and say of each what a function says."""

    def __init__(self, exemplar: Callable[[], Any]) -> None:
        self.exemplar = exemplar

    def round(self, *_: object, **__: object) -> RoundObserver:
        exemplar = self.exemplar

        class Followed(RunObserver):
            def exemplar(self) -> Mapping[str, str]:
                found: Mapping[str, str] = exemplar()
                return found

        class Round(RoundObserver):
            def run(self, definition: Definition) -> RunObserver:
                return Followed()

        return Round()


@pytest.fixture
def follow() -> Iterator[Follow]:
    """A function that has runs followed by an observer which gives such exemplars."""
    added: list[Observer] = []

    def register(exemplar: Callable[[], Any]) -> None:
        added.append(Following(exemplar))
        observers.register_observer(added[-1])

    yield register
    for observer in added:
        observers.unregister_observer(observer)


def test_counting__has_the_run_as_an_example() -> None:
    """The totals of a run that can be found elsewhere have it under the bound it is counted under."""
    found = NO_TOTALS.counting(RESULT)
    assert found.exemplars == {0.1: Exemplar(labels=TRACE, seconds=0.05, finished=100.05)}
    assert found.exemplars.keys() == found.durations.keys()
    assert NO_TOTALS.counting(dataclasses.replace(RESULT, time_taken=1e9)).exemplars.keys() == {math.inf}


def test_counting__without() -> None:
    """A run that cannot be found elsewhere is counted, and no example."""
    found = NO_TOTALS.counting(dataclasses.replace(RESULT, exemplar={}))
    assert (found.exemplars, sum(found.durations.values())) == ({}, 1)


def test_record_after__collects_them() -> None:
    """A record has the last run of each bound as an example."""
    record: Record | None = None
    for number, seconds in enumerate([0.05, 2.0, 0.04, 3.0]):
        result = dataclasses.replace(RESULT, time_taken=seconds, finished=100.0 + number)
        record = Record.after(record, result, max_age=10)
    assert record is not None
    found = {bound: (one.seconds, one.finished) for bound, one in record.totals.exemplars.items()}
    assert found == {0.1: (0.04, 102.0), 2.5: (2.0, 101.0), 5.0: (3.0, 103.0)}


@pytest.fixture(params=[0, 4], ids=["here", "threads"])
def _anywhere(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Run the test with checks in the calling thread, and on the runner's."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": request.param, "MAX_AGE": 60, "TIMEOUT": 1}


@pytest.mark.usefixtures("_anywhere")
def test_run__passes_on_what_observers_say(follow: Follow, mount_checks: Mount) -> None:
    """The result of each run has what all observers say of it, and so have its totals."""
    follow(lambda: {"trace_id": TRACE["trace_id"]})
    follow(lambda: {"span_id": TRACE["span_id"]})
    mount_checks(Fine, Broken, AsyncFine)
    readings = runtime.read().readings
    assert [reading.record and reading.record.result.exemplar for reading in readings] == [TRACE] * 3
    found = runtime.store_summary(readings).totals
    assert found is not None
    assert all([dict(one.labels) for one in found[r.label].exemplars.values()] == [TRACE] for r in readings)


@pytest.mark.usefixtures("_anywhere")
def test_run__nothing_said(follow: Follow, mount_checks: Mount) -> None:
    """Where observers say nothing there is no example."""
    follow(dict)
    mount_checks(Fine)
    readings = runtime.read().readings
    assert readings[0].record is not None
    assert readings[0].record.totals.exemplars == {}


def nonsense() -> Any:
    """Fail."""
    raise ZeroDivisionError("a defect of an observer's")


@pytest.mark.usefixtures("_anywhere")
@pytest.mark.parametrize("exemplar", [nonsense, lambda: "text", lambda: 17, lambda: [("a", "b")], lambda: None])
def test_run__observer_that_is_wrong(
    exemplar: Callable[[], Any], follow: Follow, mount_checks: Mount, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """An observer that fails, or says what are no labels, is logged at most, and harms neither runs nor others."""
    follow(exemplar)
    follow(lambda: TRACE)
    mount_checks(Fine)
    answer = client.get("/health/", {"format": "json"})
    assert (answer.status_code, answer.json()) == (200, {"Fine": "OK"})
    [reading] = runtime.read().readings
    assert reading.record is not None
    assert reading.record.result.exemplar == TRACE
    assert not [record for record in caplog.records if record.getMessage().startswith("Fine ")]
    assert all(record.levelno >= logging.WARNING for record in caplog.records)


@pytest.mark.usefixtures("_anywhere")
def test_run__labels_that_are_no_text(follow: Follow, mount_checks: Mount, client: Client) -> None:
    """Labels become text, so that no face and no store stumbles over them."""
    wrong: dict[Any, Any] = {"attempt": 17}
    follow(lambda: wrong)
    mount_checks(Fine)
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert '# {attempt="17"} ' in answer.content.decode()
    [reading] = runtime.read().readings
    assert reading.record is not None
    assert reading.record.result.exemplar == {"attempt": "17"}
