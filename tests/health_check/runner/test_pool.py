"""The pool of daemon threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from health_check.concurrency import threads
from health_check.runner.pool import Pool, Task
from tests.support.bench import eventually

SECONDS = 20


def blocked(pool: Pool, gate: threading.Event) -> tuple[threading.Event, Task]:
    """Have the pool run a task that waits for the gate, and return what tells that it runs."""
    running = threading.Event()

    def work() -> None:
        running.set()
        gate.wait(SECONDS)

    return running, pool.submit(work)


def then(*steps: Callable[[], object]) -> Callable[[], None]:
    """Return a function that takes these steps."""

    def run() -> None:
        for step in steps:
            step()

    return run


def test_submit__keeps_to_the_limit(gate: threading.Event) -> None:
    """A task more than the limit waits until a thread is free."""
    pool = Pool(lambda: 1)
    first, _ = blocked(pool, gate)
    second, _ = blocked(pool, gate)
    assert first.wait(SECONDS)
    assert not second.is_set()
    gate.set()
    assert second.wait(SECONDS)


def test_submit__uses_a_thread_again() -> None:
    """One task after the other needs one thread."""
    pool = Pool(lambda: 4)
    names: list[int] = []
    for _ in range(5):
        done = threading.Event()
        pool.submit(then(lambda: names.append(threading.get_ident()), done.set))
        assert done.wait(SECONDS)
        while pool._idle == 0:  # the thread is on its way back
            threading.Event().wait(0.001)
    assert len(set(names)) == 1


def test_submit__goes_on_after_a_task_that_raised(caplog: pytest.LogCaptureFixture) -> None:
    """A task's exception is logged and does not end its thread's work."""
    pool = Pool(lambda: 1)
    done = threading.Event()

    def fail() -> None:
        raise ValueError("never mind")

    pool.submit(fail)
    pool.submit(done.set)
    assert done.wait(SECONDS)
    eventually(lambda: "never mind" in caplog.text)


def test_abandon__makes_room_for_the_next_task(gate: threading.Event) -> None:
    """A stuck thread does not count, and a task that waited gets one."""
    pool = Pool(lambda: 1)
    running, stuck = blocked(pool, gate)
    assert running.wait(SECONDS)
    done = threading.Event()
    pool.submit(done.set)
    pool.abandon(stuck)
    assert done.wait(SECONDS)


def test_abandon__leaves_a_task_that_waits_in_its_place(gate: threading.Event) -> None:
    """What has not started occupies no thread: the limit stays as it is."""
    pool = Pool(lambda: 1)
    running, _ = blocked(pool, gate)
    assert running.wait(SECONDS)
    second, waiting = blocked(pool, gate)
    third, _ = blocked(pool, gate)
    pool.abandon(waiting)
    assert not waiting.abandoned
    assert not second.is_set()
    gate.set()
    assert second.wait(SECONDS)
    assert third.wait(SECONDS)
    assert pool._size <= 1


def test_submit__raises_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any thread the task would wait for ever: the caller hears of it."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start", refuse)
    pool = Pool(lambda: 1)
    with pytest.raises(RuntimeError, match="new thread"):
        pool.submit(lambda: None)
    monkeypatch.undo()
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(SECONDS)


def test_close__threads_end_and_start_again(gate: threading.Event) -> None:
    """Idle threads end at once, a busy one with its task; a task that comes later is done all the same."""
    pool, ids = Pool(lambda: 4), set[int]()
    running, _ = blocked(pool, gate)
    assert running.wait(SECONDS)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(SECONDS)
    pool.close()
    gate.set()
    eventually(lambda: pool._size == 0)
    later = threading.Event()
    pool.submit(then(lambda: ids.add(threading.get_ident()), later.set))
    assert later.wait(SECONDS)
    eventually(lambda: pool._size == 0)
    assert ids
