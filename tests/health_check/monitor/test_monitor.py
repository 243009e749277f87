"""The monitor: one run however many ask, and nothing shown for longer than it holds."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.record_cache import CachedRecord
from health_check.monitor.reports import Reading
from health_check.records import Outcome, Record, State
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from tests.support.bench import SECONDS, Bench, Held, defined, eventually
from tests.support.places import result_at

pytestmark = pytest.mark.usefixtures("on_threads")


def counting(outcomes: list[Exception | None]) -> tuple[list[int], object]:
    """Return a list that grows by one a run, and a check that ends in these outcomes, one after the other."""
    runs: list[int] = []

    def check_status(check: HealthCheck) -> None:
        outcome = outcomes[min(len(runs), len(outcomes) - 1)]
        runs.append(1)
        if outcome is not None:
            raise outcome

    return runs, check_status


@dataclasses.dataclass
class Tenant(HealthCheck):
    """A check with an option, that may hang."""

    gate: threading.Event | None = None

    def check_status(self) -> None:
        """Wait."""
        if self.gate is not None:
            self.gate.wait(SECONDS)


def tenant(gate: threading.Event | None, **policy: object) -> Definition:
    """Return the definition of a check; all have the same label."""
    return parse((Tenant, {"gate": gate, "name": "tenant", **policy})).define()


def test_record__of_other_options_under_the_label__counts_its_runs(bench: Bench, gate: threading.Event) -> None:
    """The store has another check under this label: what this process runs it counts itself."""
    gate.set()
    bench.read(tenant(None))
    again = tenant(gate)
    records = [bench.read(again, force=True).record for _ in range(2)]
    assert [sum(record.totals.runs.values()) for record in records if record] == [1, 2]


def test_record__of_other_options_under_the_label__while_a_run_is_stuck(bench: Bench, gate: threading.Event) -> None:
    """One label has one thread that hangs: no other check is started under it meanwhile."""
    assert bench.read(tenant(gate, timeout=0.1, max_age=0)).state is State.ERROR
    assert "still running" in bench.read(tenant(None, max_age=0)).pretty_status


def test_record__of_another_class_under_the_label__its_numbers_go_on(bench: Bench) -> None:
    """A lease is of a record's number: that of the class before must not come again while its lease is there."""
    before, after = (defined(lambda check: None) for _ in range(2))
    after = dataclasses.replace(after, label=before.label)
    for definition, number in ((before, 1), (after, 2), (before, 3)):
        bench.read(definition)
        cached = bench.monitor._records.get(before.label)
        assert cached is not None
        assert cached.record is not None
        assert cached.record.seq == number
        assert cached.record.streak == 1


def test_read__runs_a_check_once_while_its_result_is_fresh(bench: Bench) -> None:
    """A second reader gets the same record; after max_age the check runs again."""
    runs, check_status = counting([None])
    definition = defined(check_status, max_age=10)  # type: ignore[arg-type]
    first = bench.read(definition)
    assert bench.read(definition).record is first.record
    bench.clock.forward(9)
    beside, other = bench.monitor.read([definition, defined(lambda check: None)])
    assert (beside.record, other.state) == (first.record, State.OK)
    assert len(runs) == 1
    bench.clock.forward(2)
    again = bench.read(definition)
    assert len(runs) == 2
    assert again.record is not None
    assert first.record is not None
    assert again.record.seq == first.record.seq + 1


@pytest.mark.parametrize(("time_taken", "lead"), [(None, 0.0), (3.0, 3.0), (60.0, 5.0)])
def test_lead__is_what_the_last_run_took(time_taken: float | None, lead: float) -> None:
    """A run starts as long before the record expires as the last one took, at most its budget."""
    cached = CachedRecord(defined(lambda check: None), is_private=False)
    if time_taken is not None:
        cached.record = Record.after(None, result_at(100.0, time_taken=time_taken), max_age=10)
    assert cached.lead == lead


def test_read__runs_at_every_reading_where_nothing_may_be_kept(bench: Bench) -> None:
    """With a max_age of 0 each reading shows a run of its own."""
    runs, check_status = counting([None, ServiceUnavailable("gone"), None])
    definition = defined(check_status, max_age=0)  # type: ignore[arg-type]
    assert [bench.read(definition).state for _ in range(3)] == [State.OK, State.ERROR, State.OK]
    assert len(runs) == 3


def test_read__twenty_at_once__share_one_run(bench: Bench, held: Held) -> None:
    """Whoever asks while the check runs gets the outcome of that run."""
    definition = defined(held)
    with ThreadPoolExecutor(20) as pool:
        readers = [pool.submit(bench.read, definition) for _ in range(20)]
        assert held.running.wait(SECONDS)
        held.let_go.set()
        records = {id(reader.result().record) for reader in readers}
    assert held.runs == 1
    assert len(records) == 1


def test_read__runs_different_checks_at_the_same_time(bench: Bench) -> None:
    """Five checks that wait for each other all end."""
    meeting = threading.Barrier(5, timeout=SECONDS)
    definitions = [defined(lambda check: meeting.wait()) for _ in range(5)]
    assert [reading.state for reading in bench.monitor.read(definitions)] == [State.OK] * 5


def test_read__hung_check__times_out_and_is_not_started_again(bench: Bench, held: Held) -> None:
    """The first reader hears of the timeout; later ones that it is still running, in no new run."""
    definition = defined(held, timeout=0.1, max_age=10)
    first = bench.read(definition)
    assert first.state is State.ERROR
    assert first.pretty_status == "unavailable: timed out after 0.1 s"
    bench.clock.forward(42)
    later = bench.read(definition)
    assert later.state is State.ERROR
    assert later.pretty_status.startswith("unavailable: still running, started 4")
    assert later.in_progress
    assert later.finished == first.finished
    assert later.record is not None
    assert later.record.totals.runs[Outcome.TIMEOUT] == 1
    assert held.runs == 1


def test_read__hung_check__runs_again_once_it_let_go(bench: Bench, held: Held) -> None:
    """What the stuck run returns in the end is dropped; the next reading runs the check anew."""
    definition = defined(held, timeout=0.1, max_age=0)
    assert bench.read(definition).state is State.ERROR
    assert "still running" in bench.read(definition).pretty_status
    held.let_go.set()
    readings: list[Reading] = []

    def runs_again() -> bool:
        readings.append(bench.read(definition))
        return readings[-1].state is State.OK

    eventually(runs_again)
    record = readings[-1].record
    assert record is not None
    assert record.totals.runs == {Outcome.OK: 1, Outcome.WARNING: 0, Outcome.ERROR: 0, Outcome.TIMEOUT: 1}
    assert held.runs == 2


def test_read__slow_check__shows_the_last_record_after_a_short_wait(
    bench: Bench, held: Held, settings: Settings
) -> None:
    """A reader does not wait for long where something not too old can be shown; what is three times as old is not."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 32, "WAIT": 0.01}
    definition = defined(held, max_age=10, timeout=60)
    held.let_go.set()
    first = bench.read(definition)
    held.let_go.clear()
    bench.clock.forward(11)
    stale = bench.read(definition)
    assert (stale.record, stale.state, stale.in_progress) == (first.record, State.OK, True)
    bench.clock.forward(20)
    unknown = bench.read(definition, wait=0.05)
    assert (unknown.state, unknown.status) == (State.UNKNOWN, 0)
    assert unknown.pretty_status.startswith("unavailable: still running, started 2")
    assert held.runs == 2


def test_read__without_patience__is_unknown(bench: Bench, held: Held) -> None:
    """A reader that cannot wait for the first run says so, in a message that all faces show."""
    unknown = bench.read(defined(held), wait=0.0)
    assert unknown.state is State.UNKNOWN
    assert unknown.record is None
    assert unknown.pretty_status.startswith("unavailable: ")


def test_read__without_free_thread__says_so(bench: Bench, held: Held, settings: Settings) -> None:
    """A check that waits for a thread has not started, and its deadline has not either."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 1}
    bench.read(defined(held), wait=0.0)
    assert held.running.wait(SECONDS)
    waiting = bench.read(defined(lambda check: None), wait=0.05)
    why = "2 checks of up to 5 s need 10 s, MAX_CONCURRENCY is 1"
    assert waiting.pretty_status == f"unavailable: waiting for a free thread: {why}"


def test_read__without_free_thread__counts_when_the_process_has_been_up(
    bench: Bench, held: Held, settings: Settings
) -> None:
    """What only queues is no failure in the first moments of a process; what runs, and what queues later, is."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 1, "TIMEOUT": 60}
    running, queued = defined(held), defined(lambda check: None)
    started = bench.read(running, wait=0.0), bench.read(queued, wait=0.0)
    assert held.running.wait(SECONDS)
    assert [reading.state for reading in started] == [State.UNKNOWN] * 2
    assert not bench.read(running, wait=0.0).starting
    eventually(lambda: bench.read(queued, wait=0.0).starting)  # once its run waits for a thread
    bench.clock.forward(59)
    assert bench.read(queued, wait=0.0).starting
    bench.clock.forward(2)
    assert not bench.read(queued, wait=0.0).starting


def test_aread__shares_the_run_and_does_not_block_the_loop(bench: Bench, held: Held) -> None:
    """Tasks that read at once share a run, while the event loop goes on."""
    definition = defined(held)

    async def main() -> list[State]:
        readers = [asyncio.create_task(bench.monitor.aread([definition])) for _ in range(5)]
        while not held.running.is_set():
            await asyncio.sleep(0)
        readers.pop().cancel()
        held.let_go.set()
        return [reading.state for readings in await asyncio.gather(*readers) for reading in readings]

    assert asyncio.run(main()) == [State.OK] * 4
    assert held.runs == 1


def test_record__counts_runs_and_keeps_the_last_success(bench: Bench) -> None:
    """Totals, streak, last success and last transition follow the runs."""
    _, check_status = counting([None, ServiceWarning("soon"), ServiceUnavailable("gone"), ServiceUnavailable("gone")])
    definition = defined(check_status, max_age=0)  # type: ignore[arg-type]
    records = [bench.read(definition).record for _ in range(4)]
    first, _, third, last = records
    assert first is not None
    assert third is not None
    assert last is not None
    assert last.totals.runs == {Outcome.OK: 1, Outcome.WARNING: 1, Outcome.ERROR: 2, Outcome.TIMEOUT: 0}
    assert last.last_success == first.result.finished
    assert last.last_transition == third.result.finished
    assert last.streak == 2


def test_log__speaks_once_per_change_of_state(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A check that goes on failing is logged once, its recovery too, with fields, and a masked traceback."""
    gone, surprise = ServiceUnavailable("gone"), ValueError("cannot log in to amqp://guest:s3cret@broker/")
    _, check_status = counting([None, gone, gone, None, surprise, surprise, surprise])
    definition = defined(check_status, max_age=0)  # type: ignore[arg-type]
    caplog.set_level(logging.INFO, "health_check")
    readings = [bench.read(definition) for _ in range(7)]
    assert readings[-1].pretty_status == "unknown error"
    bench.monitor.flush(SECONDS)
    label = definition.label
    ours = [record for record in caplog.records if vars(record).get("check") == label]
    assert [record.getMessage().partition("\n")[0] for record in ours] == [
        f"{label} is error: unavailable: gone",
        f"{label} is ok",
        f"{label} is error: unknown error",
    ]
    states = [(vars(r)["check"], vars(r)["previous_state"], vars(r)["state"]) for r in ours]
    assert states == [(label, "ok", "error"), (label, "error", "ok"), (label, "ok", "error")]
    assert caplog.text.count("Traceback") == 1
    assert "ValueError" in caplog.text
    assert "s3cret" not in caplog.text


def test_log__reaches_the_logger_of_version_3() -> None:
    """What a site configured for ``health-check`` goes on working."""
    assert logging.getLogger("health_check").parent is logging.getLogger("health-check")
