"""What the store knows beyond the last results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import pytest
from pytest_django import Settings

from health_check.monitor.history import NO_HISTORY, HistoryReader, StoreSummary
from health_check.records import NO_TOTALS, Outcome, Record, Result
from health_check.stores import SETTLE_SECONDS, Key, StoreError
from tests.support.bench import SECONDS, Bench, Held, MovableClock, Script, SharedStore, Worker, eventually
from tests.support.places import ERROR, MAX_AGE, result_at


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on threads, as outside a test suite; what the thread of the store does by itself a test has it do."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 32}
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", 1000.0)


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


def runs_of(store_summary: StoreSummary, label: str) -> int | None:
    """Return how many runs of a check are counted; None where that is not known."""
    return None if store_summary.totals is None else store_summary.totals[label].runs[Outcome.OK]


def test_summary__counts_of_all_processes(shelf: Archive, worker: Worker, history_reader: HistoryReader) -> None:
    """Whichever process is asked tells of the runs of all; of a check that never ran that there were none."""
    ran, never = Script().define(max_age=0), Script().define()
    other = Worker(shelf.clock, lambda: shelf)
    for reader in (worker, other, other):
        reader.read(ran)
    other.close()
    store_summary = history_reader.store_summary([ran, never])
    assert runs_of(store_summary, ran.label) == 3
    assert store_summary.totals is not None
    assert store_summary.totals[never.label] == NO_TOTALS
    assert store_summary.up


def test_summary__running_anywhere(shelf: Archive, worker: Worker, history_reader: HistoryReader, held: Held) -> None:
    """A check that another process runs is running; to ask for that takes no lease."""
    running, idle = Script(held).define(), Script().define()
    other = Worker(shelf.clock, lambda: shelf)
    other.monitor.trigger([running])
    assert held.running.wait(SECONDS)
    for _ in range(2):
        assert history_reader.store_summary([running, idle]).running == {running.label}
    held.let_go.set()
    eventually(lambda: not history_reader.store_summary([running, idle]).running)
    other.close()


def test_summary__store_of_one_process(bench: Bench) -> None:
    """The memory of one process is asked in place."""
    definition = Script().define()
    bench.read(definition)
    store_summary = HistoryReader(bench.monitor.store_client).store_summary([definition])
    assert runs_of(store_summary, definition.label) == 1
    assert (store_summary.up, store_summary.running) == (True, frozenset())


@pytest.mark.parametrize("hangs", [False, True])
def test_summary__down__is_not_known(
    shelf: Archive, worker: Worker, history_reader: HistoryReader, hangs: bool
) -> None:
    """While the store fails or hangs nothing is counted, rather than something that was true once."""
    definition = Script().define()
    worker.read(definition)
    if not hangs:
        shelf.fail(StoreError("gone"))
    with shelf.holding("look") as held:
        if not hangs:
            held.let_go.set()
        for _ in range(2):
            assert history_reader.store_summary([definition]) == StoreSummary(
                totals=None, running=frozenset(), up=False
            )


def test_summary__after_a_loss__is_not_known_until_all_had_their_say(
    shelf: Archive, worker: Worker, history_reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters are absent for a moment and then go on from where they were: never a reset."""
    definition = Script().define(max_age=10)
    worker.read(definition)
    assert runs_of(history_reader.store_summary([definition]), definition.label) == 1
    shelf.lose()
    eventually(lambda: history_reader.store_summary([definition]).totals is None)
    assert history_reader.store_summary([definition]).up
    shelf.clock.forward(SETTLE_SECONDS + 0.1)
    assert runs_of(history_reader.store_summary([definition]), definition.label) == 1


def test_summary__finds_a_loss__is_not_known(shelf: Archive, worker: Worker, history_reader: HistoryReader) -> None:
    """The scrape that is the first to meet an empty store does not tell that nothing ever ran."""
    definition = Script().define(max_age=10)
    worker.read(definition)
    assert runs_of(history_reader.store_summary([definition]), definition.label) == 1
    with shelf.holding("probe"):
        shelf.lose()
        assert runs_of(history_reader.store_summary([definition]), definition.label) in (None, 1)


def test_history__history_and_other_hosts(worker: Worker, history_reader: HistoryReader) -> None:
    """What the store has is there by label, the history oldest first."""
    definition = Script().define(max_age=0)
    results = []
    for _ in range(3):
        record = worker.read(definition).record
        assert record is not None
        results.append(record.result)
    history = history_reader.history([definition], "stamp")
    assert history.history == {definition.label: tuple(results)}
    assert history.elsewhere["there"][definition.label].result.messages == (ERROR,)


def test_history__is_kept_until_there_is_something_new(
    shelf: Archive, worker: Worker, history_reader: HistoryReader
) -> None:
    """Page views ask the store no more often than checks run."""
    one, two = Script().define(), Script().define()
    worker.read(one)
    first = history_reader.history([one], ["1"])
    assert history_reader.history([one], ["1"]) is first
    assert shelf.calls.count("history") == 1
    assert set(history_reader.history([one, two], ["1"]).elsewhere["there"]) == {one.label, two.label}
    again = history_reader.history([one], ["2"])
    assert again == first
    assert again is not first
    assert shelf.calls.count("history") == 3


def test_history__down__is_nothing_and_not_kept(shelf: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is there without its history while the store is not, and has it again afterwards."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", 0.02)
    with contextlib.closing(Worker(shelf.clock, lambda: shelf)) as worker:
        history_reader = HistoryReader(worker.store_client)
        definition = Script().define()
        worker.read(definition)
        shelf.fail(StoreError("gone"), "history", "probe")
        for _ in range(2):
            assert history_reader.history([definition], "stamp") is NO_HISTORY
        shelf.recover()
        eventually(lambda: history_reader.history([definition], "stamp").history)


def test_history__of_many_endpoints__does_not_fill_the_memory(
    history_reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks that come and go with requests are forgotten."""
    monkeypatch.setattr("health_check.monitor.history.MOST_KEPT", 5)
    for _ in range(20):
        history_reader.history([Script().define()], "stamp")
    assert len(history_reader._kept) <= 5
