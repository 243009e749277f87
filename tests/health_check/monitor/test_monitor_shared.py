"""The monitor on a store that processes share: one run for all of them, and one record on all of their faces."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.monitor.record_cache import Flight, Refresh
from health_check.monitor.refresh import SLOWEST_POLL_SECONDS
from health_check.records import State
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from health_check.stores import Key, Query
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import (
    SECONDS,
    Held,
    MovableClock,
    Script,
    SharedStore,
    StillClock,
    Worker,
    defined,
    eventually,
)


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 32, "WAIT": SECONDS}


class Site:
    """A site of some worker processes on one host."""

    def __init__(self, path: pathlib.Path) -> None:
        self.clock: MovableClock = MovableClock()
        self._path = path
        self._workers: list[Worker] = []

    def store(self) -> SQLiteStore:
        """Return a store as each process has one."""
        return SQLiteStore(path=self._path, clock=self.clock)

    def worker(self) -> Worker:
        """Return one more process."""
        worker = Worker(self.clock, self.store)
        self._workers.append(worker)
        return worker

    def is_held(self, definition: Definition) -> bool:
        """Tell whether a process has the lease of a check."""
        store = self.store()
        (entry,) = store.look([Query(key=Key(label=definition.label))])
        store.close()
        return entry.held_since is not None

    def end_leases(self) -> None:
        """Have all leases end, as they do after a while."""
        with contextlib.closing(sqlite3.connect(self._path)) as database, database:
            database.execute("UPDATE checks SET ends = 0")

    def close(self) -> None:
        """Let all workers go."""
        for worker in self._workers:
            worker.close()


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose processes share a file."""
    for module in ("monitor.monitor", "stores.client"):  # a busy machine is no store that hangs
        monkeypatch.setattr(f"health_check.{module}.ANSWER_SECONDS", SECONDS)
    made = Site(tmp_path / "store.sqlite3")
    yield made
    made.close()


def waits(worker: Worker, definition: Definition) -> bool:
    """Tell whether a process knows that it waits for another one's run."""
    cached = worker.monitor._records.get(definition.label)
    return cached is not None and cached.flight is not None and cached.flight.looks > 0


@pytest.mark.parametrize(
    ("before", "max_age", "force"), [(0, 10.0, False), (1, 10.0, True), (2, 0.0, False)], ids=["first", "forced", "0"]
)
def test_read__two_processes__one_run(site: Site, held: Held, before: int, max_age: float, force: bool) -> None:
    """Who asks while another process runs a check shows that run, also who forces one, or where nothing is kept."""
    one, two = site.worker(), site.worker()
    script = Script(*[None] * before, held)
    definition = script.define(max_age=max_age)
    for worker in (one, two)[:before]:
        worker.read(definition)
    assert script.runs == before
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.read, definition, force=force)
        assert held.running.wait(SECONDS)
        second = pool.submit(two.read, definition, force=force)
        eventually(lambda: waits(two, definition))
        held.let_go.set()
    record = first.result().record
    assert record is not None
    assert record == second.result().record
    assert sum(record.totals.runs.values()) == script.runs == before + 1


def test_read__fresh__is_not_replaced(site: Site) -> None:
    """Whichever process is asked, a check runs again when its result is older than it may be, or it is forced."""
    script = Script(None, None, ServiceUnavailable("gone"))
    definition = script.define(max_age=10)
    first = site.worker().read(definition).record
    assert first is not None
    site.clock.forward(9)
    assert site.worker().read(definition).record == first
    site.clock.forward(1.1)
    second = site.worker().read(definition).record
    assert second is not None
    assert (second.seq, script.runs) == (first.seq + 1, 2)
    forced = site.worker().read(definition, force=True)
    assert forced.state is State.ERROR
    assert site.worker().read(definition).record == forced.record
    assert script.runs == 3


def test_read__forced__does_not_show_the_last_record(site: Site, held: Held, settings: Settings) -> None:
    """Who wants a run waits for it, however long the last record could be shown."""
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "WAIT": 0.05}
    worker = site.worker()
    definition = Script(None, held).define()
    worker.read(definition)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(worker.read, definition, force=True)
        assert held.running.wait(SECONDS)
        wait([reader], timeout=0.3)  # longer than a reader waits who has something to show
        held.let_go.set()
        record = reader.result().record
    assert record is not None
    assert record.seq == 2


def overtaken(site: Site, slow: Definition, held: Held, quick: Definition) -> tuple[State, str]:
    """Have one process run a check beyond its lease, and another one take over; return what the first one shows."""
    one, two = site.worker(), site.worker()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(one.read, slow)
        assert held.running.wait(SECONDS)
        site.end_leases()
        assert two.read(quick).state is State.ERROR
        held.let_go.set()
        reading = first.result()
    return reading.state, reading.pretty_status


def test_read__outrun__shows_what_the_other_process_found(site: Site, held: Held) -> None:
    """What a process finds after its lease has ended is dropped, and not counted."""
    script = Script(held, ServiceUnavailable("gone"))
    definition = script.define()
    assert overtaken(site, definition, held, definition) == (State.ERROR, "unavailable: gone")
    record = site.worker().read(definition).record
    assert record is not None
    assert sum(record.totals.runs.values()) == 1


def test_read__outrun_by_another_check_of_the_label__does_not_show_that(site: Site, held: Held) -> None:
    """While a site is deployed, two checks may have one label for a while: neither is shown for the other."""
    slow = defined(held, name="Database")
    quick = Script(ServiceUnavailable("gone")).define(name="Database")
    state, text = overtaken(site, slow, held, quick)
    assert "gone" not in text
    assert state in (State.OK, State.UNKNOWN)


def test_read__another_check_of_the_label__is_not_shown(site: Site) -> None:
    """A fresh record of another class under the same label is not an answer; each process runs its own."""
    one, two = site.worker(), site.worker()
    good, bad = (Script(step).define(name="Database") for step in (None, ServiceUnavailable("gone")))
    for _ in range(2):
        assert one.read(good).state is State.OK
        assert two.read(bad).state is State.ERROR


def test_read__stuck_run__is_left_to_the_others(site: Site, held: Held) -> None:
    """A process whose run hangs says so, takes no lease, and shows what another process finds."""
    one, two = site.worker(), site.worker()
    definition = Script(held, None).define(timeout=0.1)
    assert one.read(definition).pretty_status == "unavailable: timed out after 0.1 s"
    assert two.read(definition).pretty_status == "unavailable: timed out after 0.1 s"
    site.clock.forward(42)
    for _ in range(2):
        stuck = one.read(definition)
        assert stuck.state is State.ERROR
        assert stuck.pretty_status.startswith("unavailable: still running, started 4")
        assert not site.is_held(definition)
    found = two.read(definition)
    assert found.state is State.OK
    assert one.read(definition).record == found.record
    site.clock.forward(11)
    assert one.read(definition).state is State.OK  # as other readers show it while a new one is awaited
    assert "still running" in one.read(definition, force=True).pretty_status
    site.clock.forward(20)
    assert one.read(definition).state is State.ERROR
    assert "still running" in one.read(definition).pretty_status


def test_read__slow_run_elsewhere__says_for_how_long(site: Site, held: Held) -> None:
    """A reader that cannot wait for another process's run says since when that goes on."""
    definition = defined(held)
    one, two = site.worker(), site.worker()
    one.monitor.trigger([definition])
    assert held.running.wait(SECONDS)
    site.clock.forward(3)
    unknown = two.read(definition, wait=0.5)
    assert unknown.state is State.UNKNOWN
    assert unknown.pretty_status in [f"unavailable: still running, started {seconds} s ago" for seconds in (3, 4)]
    assert unknown.in_progress


@pytest.mark.parametrize("is_new", [False, True])
def test_read__slow_run_elsewhere__shows_what_is_not_too_old(
    site: Site, held: Held, is_new: bool, settings: Settings
) -> None:
    """A reader shows the last record where that can be shown, also in a process that has just been started."""
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "WAIT": 0.05}
    one, two = site.worker(), site.worker()
    definition = Script(None, held).define(max_age=10)
    first = one.read(definition)
    if not is_new:
        assert two.read(definition).record == first.record
    site.clock.forward(11)
    one.monitor.trigger([definition])
    assert held.running.wait(SECONDS)
    shown = two.read(definition, wait=1.0)
    assert (shown.state, shown.record) == (State.OK, first.record)
    assert (shown.in_progress, shown.is_behind) == (True, False)


class Tenant(HealthCheck):
    """Is as it is told to be."""

    def __init__(self, working: bool) -> None:
        super().__init__()
        self.working = working

    def check_status(self) -> None:
        if not self.working:
            self.add_error("broken")


def test_read__other_options_under_one_label__does_without_the_store(worker: Worker, shelf: SharedStore) -> None:
    """What only this process calls by that label is no business of the others."""
    good, bad = (parse((Tenant, {"working": working, "name": "tenant"})).define() for working in (True, False))
    assert worker.read(good).state is State.OK
    eventually(lambda: "publish" in shelf.calls)
    calls = [call for call in shelf.calls if call in ("look", "publish")]
    for _ in range(3):
        assert worker.read(bad).state is State.ERROR
        assert worker.read(good).state is State.OK
        shelf.clock.forward(11)
    assert [call for call in shelf.calls if call in ("look", "publish")] == calls


class Long(HealthCheck):
    """Says that it took three seconds, and counts its runs."""

    runs = 0

    def run_check(self) -> None:
        type(self).runs += 1
        self.errors = []
        self.time_taken = 3.0


def test_trigger__early__is_published_when_the_record_expires(site: Site) -> None:
    """A run that is to be there as the record expires, and ends before, does not replace what others show as fresh."""
    site.clock = StillClock()
    one, two = site.worker(), site.worker()
    definition = parse((type("LongOfTest", (Long,), {}), {"max_age": 10})).define()
    first = one.read(definition).record
    assert first is not None
    site.clock.forward(6)
    one.monitor.trigger([definition])
    assert definition.check_class.runs == 1  # type: ignore[attr-defined]
    site.clock.forward(3.9)
    one.monitor.trigger([definition])
    eventually(lambda: definition.check_class.runs == 2)  # type: ignore[attr-defined]
    assert one.read(definition).record == first
    assert two.read(definition).record == first
    site.clock.forward(0.1)
    eventually(lambda: one.read(definition, wait=0.0).record != first)
    second = two.read(definition).record
    assert second is not None
    assert second.seq == 2
    assert second.result.finished < first.fresh_until
    assert definition.check_class.runs == 2  # type: ignore[attr-defined]


def test_here__runs_in_the_calling_thread(site: Site, settings: Settings, held: Held) -> None:
    """Without threads a check runs in the reader's own; its record is for all, and those of others are waited for."""
    settings.HEALTH_CHECK = {"MAX_AGE": 10, "MAX_CONCURRENCY": 0}
    one, two = site.worker(), site.worker()
    script, slow = Script(), defined(held)
    definition = script.define()
    record = one.read(definition).record
    assert script.threads == [threading.current_thread()]
    assert two.read(definition).record == record
    two.monitor.trigger([slow])
    assert held.running.wait(SECONDS)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(one.read, slow)
        eventually(lambda: waits(one, slow))
        held.let_go.set()
        assert wait([reader], timeout=4).done  # it hears of the end: its patience lasts for longer
    assert reader.result().state is State.OK
    assert held.runs == 1


def test_aread__waits_for_another_process__and_does_not_block_the_loop(site: Site, held: Held) -> None:
    """Tasks wait for a run of another process while the event loop goes on; one that is cancelled harms no other."""
    one, two = site.worker(), site.worker()
    definition = defined(held)
    one.monitor.trigger([definition])
    assert held.running.wait(SECONDS)

    async def main() -> list[State]:
        readers = [asyncio.create_task(two.monitor.aread([definition])) for _ in range(3)]
        while not waits(two, definition):
            await asyncio.sleep(0)
        readers.pop().cancel()
        held.let_go.set()
        return [reading.state for readings in await asyncio.gather(*readers) for reading in readings]

    assert asyncio.run(main()) == [State.OK] * 2
    assert held.runs == 1


def test_aread__cancelled__its_run_goes_on(site: Site, held: Held) -> None:
    """The run that a cancelled reader began is there for whoever asks next, in any process."""
    one, two = site.worker(), site.worker()
    two.read(Script().define())  # opens the store: a reader who can be shown nothing waits for that for a moment only
    definition = defined(held)

    async def main() -> None:
        reader = asyncio.create_task(one.monitor.aread([definition]))
        while not held.running.is_set():
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])

    asyncio.run(main())
    held.let_go.set()
    assert two.read(definition).state is State.OK
    assert held.runs == 1


def hung_threads(shelf: SharedStore) -> list[threading.Thread]:
    """Return the threads that were left to a call to the store, but for the one in use."""
    return [thread for thread in shelf.threads if thread.name == "health-check-store" and thread.is_alive()][1:]


@pytest.mark.parametrize("method", ["look", "publish"])
def test_read__store_hangs__nobody_is_left_waiting(worker: Worker, shelf: SharedStore, method: str) -> None:
    """Whatever the store is at, the reader has its outcome, and the runs from then on are counted."""
    script = Script()
    definition = script.define(max_age=10)
    worker.read(defined(lambda check: None))
    with shelf.holding(method):
        assert worker.read(definition).state is State.OK
        assert worker.read(definition).state is State.OK
    eventually(lambda: worker.store_client.usable and not hung_threads(shelf))
    shelf.clock.forward(11)
    record = worker.read(definition).record
    assert record is not None
    counted_late = method == "publish"  # the store did in the end what it was asked to
    assert (sum(record.totals.runs.values()), script.runs) == (1 + counted_late, 2)


def test_refresh__hangs_at_the_store__whoever_notices(worker: Worker, shelf: SharedStore) -> None:
    """A refresh that hangs is gone on with also where it is a call from elsewhere that finds the store hanging."""
    script = Script()
    definition = script.define(max_age=10)
    with shelf.holding("look") as held:
        worker.monitor.trigger([definition])
        assert held.running.wait(SECONDS)
        assert worker.store_client.call(lambda store: "used", "lost") == "lost"
        eventually(lambda: script.runs)
        assert worker.read(definition, wait=1.0).state is State.OK
    assert script.runs == 1


def test_refresh__waits_for_a_run_while_another_call_hangs(
    worker: Worker, shelf: SharedStore, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that hangs is no concern of a refresh that waits for a run: it goes on, once."""
    script = Script(held)
    definition = script.define(max_age=0, timeout=3)
    worker.monitor.trigger([definition])
    assert held.running.wait(SECONDS)
    with shelf.holding("probe"):
        worker.store_client.call(lambda store: store.probe(), None)
        eventually(lambda: shelf.calls.count("probe") > 1 and worker.store_client.up)  # it was lost, and is back
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(worker.read, definition)
            held.let_go.set()
            assert reader.result().state is State.OK
    shelf.clock.forward(10)  # beyond the deadline, which nobody keeps any more
    for _ in range(3):
        worker.read(Script().define())  # has the thread look at the clock
    assert script.runs == 1
    assert shelf.calls.count("publish") == 4
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_refresh__hangs_at_the_store__what_arrives_meanwhile(
    worker: Worker, shelf: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two checks that were started together the one that ends while the store hangs has its outcome, too."""
    helds = [Held(), Held(), Held()]
    definitions = [Script(held).define(max_age=10) for held in helds]
    worker.monitor.trigger(definitions)
    for held in helds:
        assert held.running.wait(SECONDS)
    with ThreadPoolExecutor(1) as pool, shelf.holding("publish") as call:
        reader = pool.submit(worker.monitor.read, definitions)
        helds[0].let_go.set()
        assert call.running.wait(SECONDS)
        helds[1].let_go.set()
        eventually(lambda: not worker.store_client.up)
        helds[2].let_go.set()
        assert [reading.state for reading in reader.result()] == [State.OK] * 3
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_trigger__early__its_deadline_has_passed_when_the_record_expires(site: Site) -> None:
    """A run that ended early is published once, though its deadline and the record's end come at the same moment."""
    site.clock = StillClock()
    worker = site.worker()
    definition = parse((type("LongOfTest", (Long,), {}), {"max_age": 10})).define()
    assert worker.read(definition).state is State.OK
    site.clock.forward(9)
    worker.monitor.trigger([definition])
    eventually(lambda: definition.check_class.runs == 2)  # type: ignore[attr-defined]
    site.clock.forward(100)
    worker.read(Script().define())  # has the thread look at the clock
    site.clock.offset = 9.5
    eventually(lambda: worker.monitor._records.get(definition.label).is_idle)  # type: ignore[union-attr]
    record = worker.read(definition).record
    assert record is not None
    assert record.seq == 2


def test_poll__waits_no_longer_however_often_it_has_looked(worker: Worker) -> None:
    """A check that another process runs for hours is looked for twenty times a second at most, and without an end."""
    record_cache, refresh = worker.monitor._records, Refresh(context=contextvars.copy_context())
    flight = Flight(record_cache.of(defined(lambda check: None), ()), refresh, timeout=5, max_age=10, force=False)
    pauses = []
    for flight.looks in (0, 10, 100, 1_000_000):
        pauses.append(worker.monitor._refresher._poll_seconds([flight]))
    assert pauses == sorted(pauses)
    assert pauses[-1] == SLOWEST_POLL_SECONDS
