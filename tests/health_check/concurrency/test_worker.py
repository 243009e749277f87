"""The worker: one thread that does steps, and is left behind when one of them hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from health_check.concurrency import threads
from health_check.concurrency.worker import Worker
from tests.support.bench import SECONDS, Held, MovableClock, eventually


class Steps:
    """A worker of its own, and what its steps note: what they are, and on which thread they were done."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.ended: list[threading.Thread] = []
        self.worker = Worker(self.clock, "test", lambda: self.ended.append(threading.current_thread()))
        self.done: list[str] = []
        self.threads: list[threading.Thread] = []

    def note(self, name: str) -> None:
        """Be a step."""
        self.done.append(name)
        self.threads.append(threading.current_thread())

    def wait(self, worker: Worker | None = None) -> None:
        """Wait until all is done that was submitted before."""
        done = threading.Event()
        (worker or self.worker).submit(done.set)
        assert done.wait(SECONDS)


@pytest.fixture
def steps() -> Iterator[Steps]:
    """A worker, which ends with the test."""
    made = Steps()
    yield made
    made.worker.leave()


def refuse(*_: object) -> None:
    """Be a system that has no thread left."""
    raise RuntimeError("can't start new thread")


def test_submit__steps_are_done_in_order_on_one_thread(steps: Steps) -> None:
    """The thread starts with the first step, and knows that it is the worker's."""
    before = set(threading.enumerate())
    current: list[bool] = []
    steps.worker.submit(lambda: current.append(steps.worker.is_current))
    for name in "abc":
        steps.worker.submit(lambda name=name: steps.note(name))  # type: ignore[misc]
    steps.wait()
    assert steps.done == ["a", "b", "c"]
    (thread,) = set(steps.threads)
    assert (thread.name, thread.daemon, thread in before) == ("health-check-test", True, False)
    assert (current, steps.worker.is_current) == ([True], False)


def test_call_at__steps_are_done_in_the_order_of_their_moments(steps: Steps) -> None:
    """A step set later for an earlier moment is done earlier; none is done before its moment."""

    def plan() -> None:
        now = steps.clock.monotonic()
        for seconds, name in ((0.04, "late"), (0.02, "early"), (0.02, "early, too"), (1000.0, "never")):
            steps.worker.call_at(now + seconds, lambda name=name: steps.note(name))  # type: ignore[misc]
        steps.note("plan")

    steps.worker.submit(plan)
    eventually(lambda: len(steps.done) == 4)
    assert steps.done == ["plan", "early", "early, too", "late"]
    assert len(set(steps.threads)) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_step__raises__harms_no_other(
    steps: Steps, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a step raises is logged, and the thread goes on with the next one."""

    def fail() -> None:
        steps.note("failing")
        raise error("of one step")

    steps.worker.submit(fail)
    steps.worker.submit(lambda: steps.note("next"))
    steps.wait()
    assert steps.done == ["failing", "next"]
    assert len(set(steps.threads)) == 1
    assert "of one step" in caplog.text


def test_thread__ends_when_idle__and_starts_again(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread without a step cleans up and ends after a while; the next has another one; a timer keeps it."""
    monkeypatch.setattr("health_check.concurrency.worker.IDLE_SECONDS", 0.0)
    for number, name in enumerate("abc"):
        steps.worker.submit(lambda name=name: steps.note(name))  # type: ignore[misc]
        eventually(lambda number=number: len(steps.done) > number)  # type: ignore[misc]
        steps.threads[number].join(SECONDS)
    assert steps.done == ["a", "b", "c"]
    assert len(set(steps.threads)) == 3
    assert set(steps.ended) >= set(steps.threads)
    moment = steps.clock.monotonic() + 0.05
    steps.worker.submit(lambda: steps.worker.call_at(moment, lambda: steps.note("later")))
    eventually(lambda: len(steps.done) == 4)
    assert steps.clock.monotonic() >= moment


def test_submit__while_the_thread_ends__is_done_by_another_one(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """No two threads of a worker are at work at a time, cleaning up included."""
    ending = Held()
    worker = Worker(steps.clock, "test", ending.wait)
    monkeypatch.setattr("health_check.concurrency.worker.IDLE_SECONDS", 0.0)
    worker.submit(lambda: None)
    assert ending.running.wait(SECONDS)
    worker.submit(lambda: steps.note("next"))
    assert not steps.done
    ending.let_go.set()
    eventually(lambda: steps.done)


def test_replace__the_successor_does_what_was_not_begun(steps: Steps, held: Held) -> None:
    """Steps and timed steps behind one that hangs are done by another thread; the hung one ends with its step."""

    def hang() -> None:
        steps.worker.call_at(steps.clock.monotonic(), lambda: steps.note("timed"))
        steps.note("hanging")
        held.wait()
        steps.worker.call_at(0.0, lambda: steps.note("dropped"))

    steps.worker.submit(hang)
    assert held.running.wait(SECONDS)
    for name in "ab":
        steps.worker.submit(lambda name=name: steps.note(name))  # type: ignore[misc]
    successor = steps.worker.replace()
    steps.worker.submit(lambda: steps.note("to the one replaced"))
    eventually(lambda: len(steps.done) == 5)
    assert steps.done[:3] == ["hanging", "a", "b"]
    assert set(steps.done[3:]) == {"to the one replaced", "timed"}
    assert len(set(steps.threads[1:])) == 1
    held.let_go.set()
    steps.threads[0].join(SECONDS)
    assert not steps.threads[0].is_alive()
    steps.wait(successor)
    assert len(steps.done) == 5
    assert steps.ended == [], "what the successor uses is not for the hung thread to clean up"
    successor.leave()
    steps.threads[1].join(SECONDS)
    assert steps.ended == [steps.threads[1]]


def test_replace__no_thread_to_be_had__the_next_step_brings_one(
    steps: Steps, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A successor without a thread keeps what it was given."""
    steps.worker.submit(held.wait)
    assert held.running.wait(SECONDS)
    steps.worker.submit(lambda: steps.note("waiting"))
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        successor = steps.worker.replace()
    steps.wait(successor)
    assert steps.done == ["waiting"]
    successor.leave()


def test_submit__no_thread_to_be_had__raises_and_is_not_done(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who submits hears that there is no thread, and may do it otherwise: it is not done again when there is one."""
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                steps.worker.submit(lambda: steps.note("refused"))
    steps.worker.submit(lambda: steps.note("done"))
    steps.wait()
    assert steps.done == ["done"]


def test_leave__ends_the_thread__and_what_comes_later_has_another_one(steps: Steps) -> None:
    """The thread ends with its step; an idle worker cleans up at once, and nothing that is submitted later is lost."""
    steps.worker.leave()
    assert steps.ended == [threading.current_thread()]
    for number in (0, 1):
        steps.worker.submit(lambda: steps.note("step"))
        steps.worker.leave()
        eventually(lambda number=number: len(steps.ended) == number + 2)  # type: ignore[misc]
        steps.threads[number].join(SECONDS)
        assert not steps.threads[number].is_alive()
    assert steps.ended[1:] == steps.threads
