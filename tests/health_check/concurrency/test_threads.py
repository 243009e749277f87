"""Threads, locks and conditions, which are the operating system's also where gevent has replaced them."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import threading
import time

import pytest

from health_check.concurrency import threads
from health_check.concurrency.futures import Future
from tests.support.bench import SECONDS
from tests.support.patched import run_patched


def test_condition__notify_wakes_one() -> None:
    """Each notification wakes one thread, the one that has waited longest; with none waiting it is lost."""
    condition, order, entered = threads.Condition(), list[int](), threading.Semaphore(0)

    def wait(number: int) -> None:
        with condition:
            entered.release()
            condition.wait(SECONDS)
            order.append(number)
            done.release()

    done = threading.Semaphore(0)
    with condition:
        condition.notify()
    waiters = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
    for waiter in waiters:
        waiter.start()
        assert entered.acquire(timeout=SECONDS)
        with condition:
            pass  # it waits now
    for expected in ([0], [0, 1], [0, 1, 2]):
        with condition:
            condition.notify()
        assert done.acquire(timeout=SECONDS)
        assert order == expected
        assert not done.acquire(timeout=0.01)
    for waiter in waiters:
        waiter.join(SECONDS)


def test_condition__wait_in_vain() -> None:
    """Without a notification a wait ends by itself, with the condition held; the next one is for somebody else."""
    condition = threads.Condition()
    with contextlib.suppress(ZeroDivisionError), condition:
        for _ in range(2):
            begun = time.monotonic()
            condition.wait(0.02)
            assert time.monotonic() - begun >= 0.02
            assert condition._lock.locked()
            assert not condition._waiting
            condition.notify()
        raise ZeroDivisionError
    assert not condition._lock.locked()


def test_condition__wait_for() -> None:
    """Something is awaited, however often the thread is woken before it holds, some seconds at most."""
    condition, found = threads.Condition(), list[int]()

    def add() -> None:
        for number in range(3):
            with condition:
                found.append(number)
                condition.notify()

    thread = threading.Thread(target=add)
    with condition:
        thread.start()
        assert condition.wait_for(lambda: len(found) == 3, SECONDS)
        assert condition.wait_for(lambda: True, 0)
        begun = time.monotonic()
        assert not condition.wait_for(lambda: len(found) == 4, 0.02)
        assert time.monotonic() - begun >= 0.02
        assert not condition.wait_for(lambda: False, -1)
    thread.join(SECONDS)


def test_start__daemon_with_a_name() -> None:
    """A thread ends with the process, and its name tells whose it is."""
    future: Future[threading.Thread] = Future()
    threads.start(lambda: future.set_result(threading.current_thread()), "work")
    assert future.wait(SECONDS)
    assert future.result().daemon
    assert future.result().name == "health-check-work"
    assert not threads.is_patched()


def test_start__no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has none left, whoever asks hears it."""

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads.start(lambda: None, "work")


def test_original__without_gevent() -> None:
    """Where nothing is patched, what a module offers is what it offers."""
    assert threads.original("threading", "get_ident") is threading.get_ident


def test_gevent__threads_are_the_system_s() -> None:
    """Under gevent a call that blocks a thread stops no greenlet; locks are shared, and no hub is left behind."""
    run_patched(_threads_are_the_system_s)


def _threads_are_the_system_s() -> None:
    """Be the patched process."""
    _a_busy_thread()
    _shared_locks()
    _no_hub_left()


def _a_busy_thread() -> None:
    gevent = importlib.import_module("gevent")
    assert threads.is_patched()
    ident = threads.original("_thread", "get_ident")
    usleep = ctypes.CDLL(None).usleep
    busy, done = Future[int](), Future[str]()

    def work() -> None:
        busy.set_result(ident())
        for _ in range(5):
            usleep(100_000)
        done.set_result(threading.current_thread().name)

    threads.start(work, "busy")
    assert busy.wait(10)
    assert busy.result() != ident()
    beats = 0
    while not done.done():
        gevent.sleep(0.01)
        beats += 1
    assert beats >= 10, beats
    assert done.result() == "health-check-busy"


def _shared_locks() -> None:
    gevent = importlib.import_module("gevent")
    queue, condition, found = threads.new_queue(), threads.Condition(), list[int]()
    finished: Future[bool] = Future()

    def consume() -> None:
        while (number := queue.get()) is not None:
            with condition:
                found.append(number)
                condition.notify()
        with condition:
            finished.set_result(condition.wait_for(lambda: len(found) == 101, 30))

    threads.start(consume, "consumer")
    gevent.joinall([gevent.spawn(queue.put, number) for number in range(100)])
    queue.put(None)
    gevent.sleep(0.01)
    with condition:
        found.append(100)
        condition.notify()
    assert finished.wait(10)
    assert finished.result() is True
    assert sorted(found) == list(range(101))


def _no_hub_left() -> None:
    hubs: list[object] = []

    def wait() -> None:
        time.sleep(0.001)  # gevent's: it gives this thread a hub
        hubs.append(importlib.import_module("gevent").get_hub())

    for _ in range(5):
        done: Future[None] = Future()

        def work(done: Future[None] = done) -> None:
            wait()
            done.set_result(None)

        threads.start(work, "waiter")
        assert done.wait(10)
    assert len(set(map(id, hubs))) == 5
    deadline = time.monotonic() + 10
    while any(getattr(hub, "loop", None) is not None for hub in hubs):
        assert time.monotonic() < deadline, "a hub was left behind"
        time.sleep(0.01)
