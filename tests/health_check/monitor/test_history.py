"""What the store knows beyond the last results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.history import NO_HISTORY, History, HistoryReader, StoreSummary, summary_of
from health_check.monitor.reports import Reading
from health_check.past import DAYS, HALF_HOURS, Past, total_of
from health_check.records import NO_TOTALS, Outcome, Record, State
from health_check.stores import Key, StoreError
from tests.support.bench import MovableClock, Script, SharedStore, Worker, eventually
from tests.support.places import ERROR, MAX_AGE, result_at

pytestmark = pytest.mark.usefixtures("on_threads")


class Archive(SharedStore):
    """A store that keeps a past, and the records of another host."""

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        self._meet("past")
        return super().past(keys)

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        record = Record.after(None, result_at(100.0, ERROR), max_age=MAX_AGE)
        return {"there": dict.fromkeys(keys, record)}


@pytest.fixture
def shelf() -> Archive:
    """A store that fails when a test wants it to."""
    return Archive(MovableClock())


@pytest.fixture
def history_reader(worker: Worker) -> HistoryReader:
    """What asks the store."""
    return HistoryReader(worker.store_client)


def runs_of(reading: Reading, worker: Worker) -> int | None:
    """Return how many runs of a check are counted; None where that is not known."""
    totals = summary_of([reading], worker.store_client).totals
    return totals[reading.label].runs[Outcome.OK] if reading.label in totals else None


def test_summary__counts_of_all_processes(shelf: Archive, worker: Worker) -> None:
    """Whichever process is asked tells of the runs of all, from the records that were read: the store is not asked.

    After a loss of its data it counts from 0, a reset that Prometheus understands.
    """
    ran = Script().define(max_age=0)
    other = Worker(shelf.clock, lambda: shelf)
    readings = [reader.read(ran) for reader in (worker, other, other)]
    shelf.calls.clear()
    assert [runs_of(reading, worker) for reading in readings] == [1, 2, 3]
    never = dataclasses.replace(readings[0], record=None)
    assert summary_of([never], worker.store_client) == StoreSummary(totals={ran.label: NO_TOTALS}, up=True)
    assert shelf.calls == []
    shelf.lose()
    assert runs_of(other.read(ran), worker) == 1
    other.close()


def test_summary__down_or_not_asked_in_time__is_not_known(shelf: Archive, worker: Worker) -> None:
    """What the store does not say is not counted, rather than something that was true once."""
    definition, unknown = Script().define(max_age=10), Script().define()
    reading = worker.read(definition)
    assert not reading.is_behind
    shelf.clock.forward(11)
    with shelf.holding("look"):
        late = worker.read(definition)
        assert (late.record, late.state, late.is_behind) == (reading.record, State.OK, True)
        nothing = worker.read(unknown, wait=0.0)
        assert (nothing.pretty_status, nothing.is_behind) == ("unavailable: no result yet", True)
        assert [runs_of(each, worker) for each in (late, nothing)] == [None, None]
    eventually(lambda: worker.store_client.usable)
    shelf.fail(StoreError("gone"))
    for _ in range(2):
        reading = worker.read(definition, force=True)
        assert (reading.state, reading.is_behind) == (State.OK, True)
        assert summary_of([reading], worker.store_client) == StoreSummary(totals={}, up=False)


def runs_in(history: History, reading: Reading) -> int:
    """Return how many runs of a check there were in the last half hours, and days."""
    half_hours, days = history.half_hours[reading.label], history.days[reading.label]
    assert (len(half_hours), len(days)) == (HALF_HOURS, DAYS)
    assert total_of(half_hours).runs == total_of(days).runs
    return total_of(half_hours).runs


def test_history__past_and_other_hosts(worker: Worker, history_reader: HistoryReader) -> None:
    """What the store has is there by label, without gaps, the present time last."""
    definition = Script().define(max_age=0)
    readings = [worker.read(definition) for _ in range(3)]
    history = history_reader.history(readings[-1:])
    assert runs_in(history, readings[0]) == history.half_hours[definition.label][-1].ok == 3
    assert history.elsewhere["there"][definition.label].result.messages == (ERROR,)


def test_history__under_a_former_label(worker: Worker, history_reader: HistoryReader) -> None:
    """A check that was renamed keeps its past, unless that is another check's by now."""
    readings = [
        worker.read(Script().define(max_age=0, **policy))
        for policy in ({"name": "old"}, {"name": "other"}, {"name": "new", "aliases": ["old", "other"]})
    ]
    history = history_reader.history(readings[1:])
    assert [runs_in(history, reading) for reading in readings[1:]] == [1, 2]


def test_history__incidents_and_failures(
    shelf: Archive, worker: Worker, history_reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Incidents are those of the checks asked for; failures are the newest first."""
    monkeypatch.setattr(shelf, "elsewhere", lambda keys: {})
    gone, slow = ServiceUnavailable("gone"), ServiceWarning("slow")
    definition, moments = Script(None, slow, gone, None, None, gone).define(max_age=0), []
    for _ in range(6):
        reading = worker.read(definition)
        moments.append(reading.finished)
        shelf.clock.forward(400)
    (other,) = worker.monitor.read([Script().define()])
    incidents = history_reader.history([reading]).incidents
    assert [(each.began, each.ended, each.worst, each.message) for each in incidents] == [
        (moments[5], None, State.ERROR, "unavailable: gone"),
        (moments[1], moments[3], State.ERROR, "warning: slow"),
    ]
    assert history_reader.history([other]).incidents == ()
    failures = history_reader.failures([reading, other])
    assert [failure.message.split()[-1] for failure in failures[reading.label]] == ["gone", "gone", "slow"]
    assert not failures.get(other.label)


def test_history__slow_once__is_what_was_known_last(
    shelf: Archive, worker: Worker, history_reader: HistoryReader
) -> None:
    """A store that hangs costs the news, not the past; what it says later is there for the next reader."""
    definition = Script().define(max_age=0)
    reading = worker.read(definition)
    before = history_reader.history([reading])
    reading = worker.read(definition)
    with shelf.holding("past"):
        assert history_reader.history([reading]) is before
    eventually(lambda: runs_in(history_reader.history([reading]), reading) == 2)


def test_history__is_kept_until_there_is_something_new(
    shelf: Archive, worker: Worker, history_reader: HistoryReader
) -> None:
    """Page views ask the store no more often than checks run."""
    one, two = Script().define(max_age=0), Script().define(max_age=0)
    readings = [worker.read(one), worker.read(two)]
    first = history_reader.history(readings[:1])
    assert history_reader.history(readings[:1]) is first
    assert shelf.calls.count("past") == 1
    assert set(history_reader.history(readings).elsewhere["there"]) == {one.label, two.label}
    again = history_reader.history([worker.read(one)])
    assert runs_in(again, readings[0]) == runs_in(first, readings[0]) + 1
    assert shelf.calls.count("past") == 3


def test_history__down__is_nothing_and_not_kept(shelf: Archive, worker: Worker, history_reader: HistoryReader) -> None:
    """A page is there without a past while the store is not, and has it again afterwards."""
    reading = worker.read(Script().define())
    shelf.fail(StoreError("gone"), "past", "probe")
    for _ in range(2):
        assert history_reader.history([reading]) is NO_HISTORY
    shelf.recover()
    eventually(lambda: history_reader.history([reading]).half_hours)


def test_history__of_many_endpoints__does_not_fill_the_memory(
    worker: Worker, history_reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks that come and go with requests are forgotten."""
    monkeypatch.setattr("health_check.monitor.history.MOST_KEPT", 5)
    for _ in range(20):
        history_reader.history([worker.read(Script().define())])
    assert len(history_reader._kept) <= 5
