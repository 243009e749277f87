"""The scheduler: what is due is triggered, on one thread, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import pytest

from health_check.concurrency import threads
from health_check.monitor.monitor import Monitor
from health_check.monitor.scheduler import JITTER_SHARE, LONGEST_SECONDS, MOST_JITTER_SECONDS, Scheduler
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from health_check.runner.runner import Runner
from health_check.stores.memory import MemoryStore
from tests.support.bench import SECONDS, MovableClock, Script, SharedStore, StillClock, Worker, eventually
from tests.support.checks import Fine

pytestmark = pytest.mark.usefixtures("on_threads")


class NotingMonitor(Monitor):
    """A monitor that notes what it is to run, and runs nothing."""

    def __init__(self) -> None:
        self.clock = StillClock()
        super().__init__(lambda: MemoryStore(clock=self.clock), Runner(self.clock), self.clock)
        self.triggered: list[str] = []
        self.runs_at: dict[str, float] = {}

    def trigger(self, definitions: Iterable[Definition]) -> None:
        self.triggered.extend(definition.label for definition in definitions)

    def next_run_at(self, definition: Definition) -> float:
        return self.runs_at.get(definition.label, float("-inf"))

    def taken(self) -> list[str]:
        """Return what was triggered since this was asked last."""
        triggered, self.triggered = self.triggered, []
        return triggered


def check(label: str, max_age: float = 10.0) -> Definition:
    """Return the definition of a check."""
    return parse((Fine, {"name": label, "max_age": max_age})).define()


@pytest.fixture
def monitor() -> NotingMonitor:
    """A monitor that notes what it is to run."""
    return NotingMonitor()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """The schedulers' threads, in the order of their start; they sleep for moments only."""
    monkeypatch.setattr("health_check.monitor.scheduler.LONGEST_SECONDS", 0.02)
    found: list[threading.Thread] = []
    start = threads.start

    def note(target: object, name: str) -> None:
        before = set(threading.enumerate())
        start(target, name)  # type: ignore[arg-type]
        found.extend(thread for thread in set(threading.enumerate()) - before if thread.name.endswith("-scheduler"))

    monkeypatch.setattr(threads, "start", note)
    yield found
    for thread in found:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_trigger_due__at_first_all_that_may_be_kept(monitor: NotingMonitor) -> None:
    """What never ran is due at once; a check whose results may not be kept is for readers only.

    With nothing to do it sleeps, and looks again: endpoints may be added.
    """
    scheduler = Scheduler(lambda: [check("one"), check("never", 0), check("two")], monitor, monitor.clock)
    scheduler.trigger_due()
    assert monitor.taken() == ["one", "two"]
    for checks in ([], [check("never", 0)]):
        assert Scheduler(lambda checks=checks: checks, monitor, monitor.clock).trigger_due() == LONGEST_SECONDS  # type: ignore[misc]
    assert monitor.taken() == []


def test_trigger_due__only_what_is_due(monitor: NotingMonitor) -> None:
    """A check is triggered when it has to run for its outcome to be there in time, not before."""
    monitor.runs_at = {"one": 1005.0, "two": 1020.0}
    scheduler = Scheduler(lambda: [check("one"), check("two")], monitor, monitor.clock)
    assert 5.0 <= scheduler.trigger_due() <= 5.5
    monitor.clock.forward(4.9)
    assert 0.1 <= scheduler.trigger_due() <= 0.601
    assert monitor.taken() == []
    monitor.clock.forward(0.7)
    assert scheduler.trigger_due() == pytest.approx(14.7, abs=0.301)
    assert monitor.taken() == ["one"]


@pytest.mark.parametrize(("max_age", "seconds"), [(10.0, 1.0), (0.25, 0.25)])
def test_trigger_due__no_new_result__asks_again_in_a_while(
    monitor: NotingMonitor, max_age: float, seconds: float
) -> None:
    """A check that was triggered and has no new result yet is left alone for a moment."""
    scheduler = Scheduler(lambda: [check("one", max_age)], monitor, monitor.clock)
    scheduler.trigger_due()
    assert scheduler.trigger_due() == pytest.approx(seconds)
    monitor.clock.forward(0.9 * seconds)
    scheduler.trigger_due()
    assert monitor.taken() == ["one"]
    monitor.clock.forward(0.11 * seconds)
    scheduler.trigger_due()
    assert monitor.taken() == ["one"]


@pytest.mark.parametrize("max_age", [1.0, 10.0, 600.0])
def test_trigger_due__jitter(monitor: NotingMonitor, max_age: float) -> None:
    """Checks of the same age run at moments of their own, a little later than they could, each time another."""
    labels = [f"check {number}" for number in range(50)]
    monitor.runs_at = dict.fromkeys(labels, 1005.0)
    most = min(MOST_JITTER_SECONDS, JITTER_SHARE * max_age)
    waits = [Scheduler(lambda: [check(labels[0], max_age)], monitor, monitor.clock).trigger_due() for _ in range(50)]
    assert len(set(waits)) > 40
    assert min(waits) >= 5.0
    assert max(waits) - 5.0 <= most + 1e-6
    assert max(waits) - min(waits) > most / 2
    scheduler = Scheduler(lambda: [check(labels[0], max_age)], monitor, monitor.clock)
    times = {scheduler.trigger_due()}
    for number in range(1, 6):
        monitor.clock.forward(1000.0)
        scheduler.trigger_due()
        monitor.runs_at[labels[0]] = 1005.0 + 1000.0 * number
        times.add(round(scheduler.trigger_due(), 6))
    assert len(times) == 6
    assert monitor.taken() == [labels[0]] * 5


def test_trigger_due__forgets_what_is_no_more(monitor: NotingMonitor) -> None:
    """Labels that come and go do not fill the memory; one that comes back is as new."""
    checks = [check("one")]
    scheduler = Scheduler(lambda: checks, monitor, monitor.clock)
    scheduler.trigger_due()
    checks[:] = [check("two")]
    scheduler.trigger_due()
    assert set(scheduler._jitters) == set(scheduler._triggered) == {"two"}
    checks[:] = [check("one"), check("two")]
    monitor.taken()
    scheduler.trigger_due()
    assert monitor.taken() == ["one"]


def test_start__twice__is_one_thread(monitor: NotingMonitor, started: list[threading.Thread]) -> None:
    """Every reading may start it; close ends it for good."""
    scheduler = Scheduler(lambda: [check("one")], monitor, monitor.clock)
    scheduler.start()
    scheduler.start()
    eventually(lambda: monitor.triggered)
    (thread,) = started
    assert thread.daemon
    scheduler.close()
    thread.join(SECONDS)
    scheduler.start()
    assert started == [thread]
    assert not thread.is_alive()


def test_start__checks_that_fail__are_tried_again(
    monitor: NotingMonitor, started: list[threading.Thread], caplog: pytest.LogCaptureFixture
) -> None:
    """A URLconf that cannot be imported at present does not end the scheduler; it is said once."""
    calls: list[int] = []

    def checks() -> Sequence[Definition]:
        calls.append(1)
        if len(calls) < 4:
            raise ZeroDivisionError
        return [check("one")]

    scheduler = Scheduler(checks, monitor, monitor.clock)
    scheduler.start()
    eventually(lambda: monitor.triggered)
    scheduler.close()
    assert caplog.text.count("The scheduler of the health checks failed; it tries again.") == 1


def test_start__no_thread_to_be_had__starts_later(
    monitor: NotingMonitor, started: list[threading.Thread], caplog: pytest.LogCaptureFixture
) -> None:
    """Where no thread can be started, readers do without, and the next one tries again."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    scheduler = Scheduler(lambda: [check("one")], monitor, monitor.clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        scheduler.start()
    assert "could not be started" in caplog.text
    scheduler.start()
    eventually(lambda: monitor.triggered)
    scheduler.close()


def test_schedulers__of_two_processes__run_each_check_once(started: list[threading.Thread]) -> None:
    """Without any reader checks run as their results expire, and one process does each run."""
    clock = MovableClock()
    shelf = SharedStore(clock)
    script = Script()
    definition = script.define(max_age=10)
    workers = [Worker(clock, lambda: shelf) for _ in range(2)]
    schedulers = [Scheduler(lambda: [definition], worker.monitor, clock) for worker in workers]
    for scheduler in schedulers:
        scheduler.start()
    for runs in range(1, 4):
        eventually(lambda runs=runs: script.runs == runs)  # type: ignore[misc]
        eventually(lambda: all(worker.monitor.next_run_at(definition) > clock.monotonic() for worker in workers))
        clock.forward(11)
    for scheduler, worker in zip(schedulers, workers, strict=True):
        scheduler.close()
        worker.close()
    assert 3 <= script.runs <= 4
