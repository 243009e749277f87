"""What the store knows beyond the last results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import pytest
from pytest_django import Settings

from health_check.monitor.history import NOTHING, Survey, Surveyor
from health_check.records import NO_TOTALS, Outcome, Record, Result
from health_check.stores import SETTLE_SECONDS, Key, StoreError
from tests.support.bench import SECONDS, Bench, Held, MovableClock, Script, SharedStore, Worker, eventually
from tests.support.places import ERROR, MAX_AGE, result_at


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on threads, as outside a test suite; what the clerk does by itself a test has it do."""
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
def surveyor(worker: Worker) -> Surveyor:
    """What asks the store."""
    return Surveyor(worker.keeper)


def runs_of(survey: Survey, label: str) -> int | None:
    """Return how many runs of a check are counted; None where that is not known."""
    return None if survey.totals is None else survey.totals[label].runs[Outcome.OK]


def test_survey__counts_of_all_processes(shelf: Archive, worker: Worker, surveyor: Surveyor) -> None:
    """Whichever process is asked tells of the runs of all; of a check that never ran that there were none."""
    ran, never = Script().define(max_age=0), Script().define()
    other = Worker(shelf.clock, lambda: shelf)
    for reader in (worker, other, other):
        reader.read(ran)
    other.close()
    survey = surveyor.survey([ran, never])
    assert runs_of(survey, ran.label) == 3
    assert survey.totals is not None
    assert survey.totals[never.label] == NO_TOTALS
    assert survey.up


def test_survey__running_anywhere(shelf: Archive, worker: Worker, surveyor: Surveyor, held: Held) -> None:
    """A check that another process runs is running; to ask for that takes no lease."""
    running, idle = Script(held).define(), Script().define()
    other = Worker(shelf.clock, lambda: shelf)
    other.monitor.trigger([running])
    assert held.running.wait(SECONDS)
    for _ in range(2):
        assert surveyor.survey([running, idle]).running == {running.label}
    held.let_go.set()
    eventually(lambda: not surveyor.survey([running, idle]).running)
    other.close()


def test_survey__store_of_one_process(bench: Bench) -> None:
    """The memory of one process is asked in place."""
    definition = Script().define()
    bench.read(definition)
    survey = Surveyor(bench.monitor.keeper).survey([definition])
    assert runs_of(survey, definition.label) == 1
    assert (survey.up, survey.running) == (True, frozenset())


@pytest.mark.parametrize("hangs", [False, True])
def test_survey__down__is_not_known(shelf: Archive, worker: Worker, surveyor: Surveyor, hangs: bool) -> None:
    """While the store fails or hangs nothing is counted, rather than something that was true once."""
    definition = Script().define()
    worker.read(definition)
    if not hangs:
        shelf.fail(StoreError("gone"))
    with shelf.holding("look") as held:
        if not hangs:
            held.let_go.set()
        for _ in range(2):
            assert surveyor.survey([definition]) == Survey(totals=None, running=frozenset(), up=False)


def test_survey__after_a_loss__is_not_known_until_all_had_their_say(
    shelf: Archive, worker: Worker, surveyor: Surveyor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters are absent for a moment and then go on from where they were: never a reset."""
    definition = Script().define(max_age=10)
    worker.read(definition)
    assert runs_of(surveyor.survey([definition]), definition.label) == 1
    shelf.lose()
    eventually(lambda: surveyor.survey([definition]).totals is None)
    assert surveyor.survey([definition]).up
    shelf.clock.forward(SETTLE_SECONDS + 0.1)
    assert runs_of(surveyor.survey([definition]), definition.label) == 1


def test_survey__finds_a_loss__is_not_known(shelf: Archive, worker: Worker, surveyor: Surveyor) -> None:
    """The scrape that is the first to meet an empty store does not tell that nothing ever ran."""
    definition = Script().define(max_age=10)
    worker.read(definition)
    assert runs_of(surveyor.survey([definition]), definition.label) == 1
    with shelf.holding("probe"):
        shelf.lose()
        assert runs_of(surveyor.survey([definition]), definition.label) in (None, 1)


def test_past__history_and_other_hosts(worker: Worker, surveyor: Surveyor) -> None:
    """What the store has is there by label, the history oldest first."""
    definition = Script().define(max_age=0)
    results = []
    for _ in range(3):
        record = worker.read(definition).record
        assert record is not None
        results.append(record.result)
    past = surveyor.past([definition], "stamp")
    assert past.history == {definition.label: tuple(results)}
    assert past.elsewhere["there"][definition.label].result.messages == (ERROR,)


def test_past__is_kept_until_there_is_something_new(shelf: Archive, worker: Worker, surveyor: Surveyor) -> None:
    """Page views ask the store no more often than checks run."""
    one, two = Script().define(), Script().define()
    worker.read(one)
    first = surveyor.past([one], ["1"])
    assert surveyor.past([one], ["1"]) is first
    assert shelf.calls.count("history") == 1
    assert set(surveyor.past([one, two], ["1"]).elsewhere["there"]) == {one.label, two.label}
    again = surveyor.past([one], ["2"])
    assert again == first
    assert again is not first
    assert shelf.calls.count("history") == 3


def test_past__down__is_nothing_and_not_kept(shelf: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is there without its history while the store is not, and has it again afterwards."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", 0.02)
    with contextlib.closing(Worker(shelf.clock, lambda: shelf)) as worker:
        surveyor = Surveyor(worker.keeper)
        definition = Script().define()
        worker.read(definition)
        shelf.fail(StoreError("gone"), "history", "probe")
        for _ in range(2):
            assert surveyor.past([definition], "stamp") is NOTHING
        shelf.recover()
        eventually(lambda: surveyor.past([definition], "stamp").history)


def test_past__of_many_endpoints__does_not_fill_the_memory(surveyor: Surveyor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that come and go with requests are forgotten."""
    monkeypatch.setattr("health_check.monitor.history.MOST_KEPT", 5)
    for _ in range(20):
        surveyor.past([Script().define()], "stamp")
    assert len(surveyor._kept) <= 5
