"""What a process believes of results from before it started, from another release, and from before a forced run."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from health_check.monitor.monitor import Monitor
from health_check.records import State
from health_check.registry.definitions import Definition
from health_check.runner.observers import Trigger, triggered_by
from health_check.runner.runner import Runner
from health_check.stores import Store
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import SECONDS, MovableClock, Script


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 32, "WAIT": SECONDS}


Process = Callable[..., Monitor]


@pytest.fixture
def clock() -> MovableClock:
    """The clock of the host."""
    return MovableClock()


@pytest.fixture
def process(tmp_path: pathlib.Path, clock: MovableClock) -> Iterator[Process]:
    """A function that makes one more process of a site: of a release, and of a server that starts now."""
    made: list[Monitor] = []

    def create(release: str = "", started: float | None = None, takes: float = 0.0) -> Monitor:
        def create_store() -> Store:
            store = SQLiteStore(path=tmp_path / "store.sqlite3", clock=clock)
            store.site_release = release
            return store

        start = clock.now() if started is None else started

        def server_age() -> float:
            clock.forward(takes)
            return clock.now() - start

        made.append(Monitor(create_store, Runner(clock), clock, server_age))
        return made[-1]

    yield create
    for monitor in made:
        monitor.close()


def state(monitor: Monitor, definition: Definition, **options: bool) -> State:
    """Return how a check is, as a process says."""
    return monitor.read([definition], **options)[0].state


def test_restart__runs_each_check_once(process: Process, clock: MovableClock) -> None:
    """After a restart a check is run once before anybody answers for it, once for all workers of the new server.

    That holds on a machine, too, that takes seconds to say when the server was started.
    """
    script = Script(ValueError("pending migration"), None)
    definition = script.define()
    assert state(process(), definition) is State.ERROR
    clock.forward(1)
    started = clock.now()
    workers = [process(started=started, takes=takes) for takes in (5, 0, 0)]
    assert [state(worker, definition) for worker in workers] == [State.OK] * 3
    assert script.runs == 2
    clock.forward(5)
    recycled = process(started=started)
    assert state(recycled, definition) is State.OK
    assert script.runs == 2


def test_restart__a_command_shows_what_is_known(process: Process, clock: MovableClock) -> None:
    """A command is no server: it shows what servers have measured."""
    script = Script()
    definition = script.define()
    state(process(), definition)
    clock.forward(5)
    with triggered_by(Trigger.COMMAND):
        assert state(process(), definition) is State.OK
    assert script.runs == 1


def test_release__another_one_answers_for_itself(process: Process) -> None:
    """A process shows results of its own release only, and each release runs a check once per max_age."""
    script = Script(None, ValueError("unapplied migration"))
    definition = script.define()
    old, new = process("1", started=0.0), process("2", started=0.0)
    for _ in range(3):
        assert (state(old, definition), state(new, definition)) == (State.OK, State.ERROR)
    assert script.runs == 2
    (reading,) = new.read([definition])
    assert reading.record is not None
    assert sum(reading.record.totals.runs.values()) == 2


def test_forced__every_process_shows_it_at_once(process: Process) -> None:
    """A run that one process forces is shown by all others, though their records are fresh; none runs it again."""
    script = Script(ValueError("broken"), None)
    definition = script.define()
    workers = [process(started=0.0) for _ in range(3)]
    assert [state(worker, definition) for worker in workers] == [State.ERROR] * 3
    stamps = [worker.stamp for worker in workers]
    with triggered_by(Trigger.COMMAND):
        assert state(process(), definition, force=True) is State.OK
    assert [worker.stamp != stamp for worker, stamp in zip(workers, stamps, strict=True)] == [True] * 3
    assert [state(worker, definition) for worker in workers] == [State.OK] * 3
    assert script.runs == 2


def test_restart__clock_set_back(process: Process, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set back after the start of a server makes no result one of before the start."""
    script = Script()
    definition = script.define()
    server = process()
    assert state(server, definition) is State.OK
    clock.forward(30)
    now = MovableClock.now
    monkeypatch.setattr(MovableClock, "now", lambda self: now(self) - 120)
    clock.forward(31)
    for _ in range(3):
        assert state(server, definition) is State.OK
        assert state(process(started=0.0), definition) is State.OK
    assert script.runs == 2
