"""What the store knows beyond the last results."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pytest
from pytest_django import Settings

from health_check.monitor.history import NO_HISTORY, HistoryReader, StoreSummary, summary_of
from health_check.monitor.reports import Reading
from health_check.records import NO_TOTALS, Outcome, Record, Result, State
from health_check.stores import Key, StoreError
from tests.support.bench import MovableClock, Script, SharedStore, Worker, eventually
from tests.support.places import ERROR, MAX_AGE, result_at


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 32}


class Archive(SharedStore):
    """A store that keeps history, and the records of another host."""

    def history(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Result, ...]]:
        self._meet("history")
        return super().history(keys)

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        record = Record.after(None, result_at(100.0, ERROR), max_age=MAX_AGE)
        return {"there": dict.fromkeys(keys, record)}


@pytest.fixture
def shelf() -> Archive:
    """A store that fails when a test wants it to."""
    return Archive(MovableClock())


@pytest.fixture
def worker(shelf: Archive) -> Iterator[Worker]:
    """A process that uses the store."""
    made = Worker(shelf.clock, lambda: shelf)
    yield made
    made.close()


@pytest.fixture
def history_reader(worker: Worker) -> HistoryReader:
    """What asks the store."""
    return HistoryReader(worker.store_client)


def runs_of(reading: Reading, worker: Worker) -> int | None:
    """Return how many runs of a check are counted; None where that is not known."""
    totals = summary_of([reading], worker.store_client).totals
    return None if totals is None else totals[reading.label].runs[Outcome.OK]


def test_summary__counts_of_all_processes(shelf: Archive, worker: Worker) -> None:
    """Whichever process is asked tells of the runs of all; of a check that never ran that there were none."""
    ran = Script().define(max_age=0)
    other = Worker(shelf.clock, lambda: shelf)
    readings = [reader.read(ran) for reader in (worker, other, other)]
    other.close()
    assert [runs_of(reading, worker) for reading in readings] == [1, 2, 3]
    never = dataclasses.replace(readings[0], record=None)
    summary = summary_of([never], worker.store_client)
    assert (summary.totals, summary.up) == ({ran.label: NO_TOTALS}, True)


def test_summary__asks_the_store_nothing(shelf: Archive, worker: Worker) -> None:
    """Counts come with the records that were read: a scrape of fresh records costs the store nothing."""
    reading = worker.read(Script().define())
    shelf.calls.clear()
    assert runs_of(reading, worker) == 1
    assert shelf.calls == []


def test_summary__down__is_not_known(shelf: Archive, worker: Worker) -> None:
    """While the store fails nothing is counted, rather than something that was true once."""
    definition = Script().define(max_age=0)
    worker.read(definition)
    shelf.fail(StoreError("gone"))
    for _ in range(2):
        reading = worker.read(definition)
        assert reading.state is State.OK
        assert summary_of([reading], worker.store_client) == StoreSummary(totals=None, up=False)


def test_summary__after_a_loss__starts_at_0(shelf: Archive, worker: Worker) -> None:
    """A store that has lost its data counts from 0, a reset that Prometheus understands."""
    definition = Script().define(max_age=0)
    assert [runs_of(worker.read(definition), worker) for _ in range(2)] == [1, 2]
    shelf.lose()
    assert runs_of(worker.read(definition), worker) == 1


def test_history__history_and_other_hosts(worker: Worker, history_reader: HistoryReader) -> None:
    """What the store has is there by label, the history oldest first."""
    definition = Script().define(max_age=0)
    readings = [worker.read(definition) for _ in range(3)]
    results = [reading.record.result for reading in readings if reading.record is not None]
    history = history_reader.history(readings[-1:])
    assert history.history == {definition.label: tuple(results)}
    assert history.elsewhere["there"][definition.label].result.messages == (ERROR,)


def test_history__under_a_former_label(worker: Worker, history_reader: HistoryReader) -> None:
    """A check that was renamed keeps its past, unless that is another check's by now."""
    readings = [
        worker.read(Script().define(max_age=0, **policy))
        for policy in ({"name": "old"}, {"name": "other"}, {"name": "new", "aliases": ["old", "other"]})
    ]
    old, other, new = (reading.record.result for reading in readings if reading.record is not None)
    assert history_reader.history(readings[1:]).history == {"other": (other,), "new": (old, new)}


def test_history__is_kept_until_there_is_something_new(
    shelf: Archive, worker: Worker, history_reader: HistoryReader
) -> None:
    """Page views ask the store no more often than checks run."""
    one, two = Script().define(max_age=0), Script().define(max_age=0)
    readings = [worker.read(one), worker.read(two)]
    first = history_reader.history(readings[:1])
    assert history_reader.history(readings[:1]) is first
    assert shelf.calls.count("history") == 1
    assert set(history_reader.history(readings).elsewhere["there"]) == {one.label, two.label}
    again = history_reader.history([worker.read(one)])
    assert len(again.history[one.label]) == len(first.history[one.label]) + 1
    assert shelf.calls.count("history") == 3


def test_history__down__is_nothing_and_not_kept(shelf: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is there without its history while the store is not, and has it again afterwards."""
    monkeypatch.setattr("health_check.stores.client.RETRY_SECONDS", 0.02)
    with contextlib.closing(Worker(shelf.clock, lambda: shelf)) as worker:
        history_reader = HistoryReader(worker.store_client)
        reading = worker.read(Script().define())
        shelf.fail(StoreError("gone"), "history", "probe")
        for _ in range(2):
            assert history_reader.history([reading]) is NO_HISTORY
        shelf.recover()
        eventually(lambda: history_reader.history([reading]).history)


def test_history__of_many_endpoints__does_not_fill_the_memory(
    worker: Worker, history_reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks that come and go with requests are forgotten."""
    monkeypatch.setattr("health_check.monitor.history.MOST_KEPT", 5)
    for _ in range(20):
        history_reader.history([worker.read(Script().define())])
    assert len(history_reader._kept) <= 5
