"""Promises: settled once, by whatever thread, and awaited by threads, coroutines and greenlets."""

from __future__ import annotations

import asyncio
import functools
import importlib
import threading
import time
from collections.abc import Callable

import pytest

from health_check.concurrency.futures import Promise, call, settle
from health_check.concurrency.threads import start
from tests.support.bench import SECONDS
from tests.support.patched import run_patched


def test_result__value() -> None:
    """What it was settled by is there for whoever asks, however often."""
    promise: Promise[int] = Promise()
    assert not promise.done()
    promise.set_result(7)
    assert promise.done()
    assert (promise.result(), promise.result(), promise.exception()) == (7, 7, None)
    assert promise.wait(0)


def test_result__exception() -> None:
    """An exception that it was settled by is raised for each who asks."""
    promise: Promise[int] = Promise()
    error = SystemExit(3)
    promise.set_exception(error)
    assert promise.done()
    assert promise.exception() is error
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            promise.result()
        assert caught.value is error


def test_result__not_settled() -> None:
    """Before it is settled there is nothing to have, and nothing to wait for in no time."""
    promise: Promise[int] = Promise()
    assert promise.exception() is None
    assert not promise.wait(0)
    assert not promise.wait(-1)
    with pytest.raises(RuntimeError, match="not settled yet"):
        promise.result()


def test_settle__once() -> None:
    """Only the first to settle it does; callbacks are called once."""
    promise: Promise[int] = Promise()
    calls: list[int] = []
    promise.on_done(lambda: calls.append(promise.result()))
    promise.set_result(1)
    promise.set_result(2)
    promise.set_exception(ValueError())
    assert (promise.result(), promise.exception(), calls) == (1, None, [1])
    failed: Promise[int] = Promise()
    failed.set_exception(error := ValueError())
    failed.set_result(1)
    assert failed.exception() is error


def test_settle__one_of_many_threads() -> None:
    """However many threads settle it at once, everybody sees one value."""
    promise: Promise[int] = Promise()
    barrier, seen = threading.Barrier(8), list[int]()

    def race(number: int) -> None:
        barrier.wait(SECONDS)
        promise.set_result(number)
        seen.append(promise.result())

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert seen == [promise.result()] * 8


def test_on_done__in_order_and_at_once_if_settled() -> None:
    """Callbacks are called on the thread that settles it, in their order; one that comes later at once."""
    promise: Promise[int] = Promise()
    calls: list[tuple[str, int | None]] = []

    def note(name: str) -> None:
        calls.append((name, threading.get_ident()))

    for name in "abc":
        promise.on_done(functools.partial(note, name))
    thread = threading.Thread(target=promise.set_result, args=(1,))
    thread.start()
    settler = thread.ident
    thread.join(SECONDS)
    promise.on_done(lambda: note("d"))
    assert calls == [("a", settler), ("b", settler), ("c", settler), ("d", threading.get_ident())]


def test_wait__by_several_threads() -> None:
    """All threads that wait go on when it is settled, and none before."""
    promise: Promise[int] = Promise()
    waited: list[bool] = []
    threads = [threading.Thread(target=lambda: waited.append(promise.wait(SECONDS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert not promise.wait(0.02)
    assert waited == []
    promise.set_result(1)
    for thread in threads:
        thread.join(SECONDS)
    assert waited == [True] * 4


def test_wait__in_vain() -> None:
    """Who waited in vain goes on after the time that was given; settling it later disturbs nobody."""
    promise: Promise[int] = Promise()
    begun = time.monotonic()
    assert not promise.wait(0.05)
    assert time.monotonic() - begun >= 0.05
    promise.set_result(1)
    assert promise.wait(0.05)


def test_await__value_and_exception() -> None:
    """A coroutine gets the value, or the exception, and lets others run meanwhile."""

    async def main() -> tuple[int, BaseException | None]:
        promise, failed = Promise[int](), Promise[int]()
        threading.Timer(0.02, promise.set_result, (7,)).start()
        asyncio.get_running_loop().call_soon(failed.set_exception, KeyError("x"))
        value, error = await asyncio.gather(awaited(promise), awaited(failed), return_exceptions=True)
        assert isinstance(value, int)
        return value, error if isinstance(error, BaseException) else None

    value, error = asyncio.run(main())
    assert value == 7
    assert isinstance(error, KeyError)


async def awaited(promise: Promise[int]) -> int:
    return await promise


def test_wait_on_loop__time_is_up() -> None:
    """A coroutine waits no longer than it was told; later it is too late for nobody."""

    async def main() -> None:
        promise: Promise[int] = Promise()
        assert not await promise.wait_on_loop(0)
        assert not await promise.wait_on_loop(0.02)
        promise.set_result(1)
        assert await promise.wait_on_loop(0)
        assert await promise.wait_on_loop(None)
        await asyncio.sleep(0)  # what wakes the waiter that has left

    asyncio.run(main())


def test_wait_on_loop__cancelled() -> None:
    """One waiter that is cancelled leaves the others waiting, and settling it is no error."""

    async def main() -> None:
        promise: Promise[int] = Promise()
        first, second = (asyncio.ensure_future(promise.wait_on_loop(SECONDS)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        thread = threading.Thread(target=promise.set_result, args=(1,))
        thread.start()
        assert await second
        thread.join(SECONDS)

    asyncio.run(main())


def test_wait_on_loop__the_loop_is_closed() -> None:
    """A promise that is settled after a waiter's loop has ended troubles nobody, and wakes the others."""
    promise: Promise[int] = Promise()

    async def leave() -> None:
        assert not await promise.wait_on_loop(0.01)

    asyncio.run(leave())
    woken: list[bool] = []
    promise.on_done(lambda: woken.append(True))
    promise.set_result(1)
    assert woken == [True]


def test_wait_on_loop__several_loops() -> None:
    """Coroutines of different loops can wait for the same promise."""
    promise: Promise[int] = Promise()
    values: list[int] = []

    async def main() -> None:
        values.append(await promise)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    for thread in threads:
        thread.start()
    promise.set_result(3)
    for thread in threads:
        thread.join(SECONDS)
    assert values == [3, 3, 3]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
def test_settle__whatever_is_raised(error: BaseException) -> None:
    """A function settles a promise by what it returns, and by whatever it raises."""
    promise, failed = Promise[int](), Promise[int]()
    settle(promise, lambda: 7)
    settle(failed, raiser(error))
    assert promise.result() == 7
    assert failed.exception() is error


def raiser(error: BaseException) -> Callable[[], int]:
    def function() -> int:
        raise error

    return function


def test_call__on_a_thread_of_its_own() -> None:
    """A function is called on a daemon thread with a name that tells whose it is."""
    promise = call(threading.current_thread, "some work")
    assert promise.wait(SECONDS)
    thread = promise.result()
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert thread.name == "health-check-some work"


def test_gevent__a_greenlet_waits() -> None:
    """Under gevent one greenlet waits for a real thread while the others run."""
    run_patched(_a_greenlet_waits)


def _a_greenlet_waits() -> None:
    """Be the patched process."""
    gevent = importlib.import_module("gevent")
    gate, promise, late = importlib.import_module("gevent.event").Event(), Promise[int](), Promise[int]()
    beats: list[int] = []

    def beat() -> None:
        for number in range(5):
            gevent.sleep(0.01)
            beats.append(number)
        gate.set()

    gevent.spawn(beat)
    assert not late.wait(0.02)
    waiter = gevent.spawn(promise.wait, 30)
    assert gate.wait(10), "the greenlet that waits keeps the others from running"
    assert not waiter.ready()
    start(lambda: promise.set_result(7), "settler")
    assert waiter.get(timeout=10) is True
    assert promise.result() == 7
    late.set_result(1)  # nobody waits any more: the watcher is closed
    assert late.wait(0)
    for _ in range(200):  # settled at any moment between asking and waiting
        made = call(lambda: 3, "call")
        assert made.wait(10)
        assert made.result() == 3


def test_gevent__a_real_thread_waits() -> None:
    """Under gevent also a thread that is none of gevent's can wait, for what a greenlet settles."""
    run_patched(_a_real_thread_waits)


def _a_real_thread_waits() -> None:
    """Be the patched process."""
    gevent = importlib.import_module("gevent")
    promise, outcome = Promise[int](), Promise[bool]()
    start(lambda: outcome.set_result(promise.wait(30)), "waiter")
    gevent.spawn_later(0.05, promise.set_result, 1)
    assert outcome.wait(10)
    assert outcome.result() is True


def test_wait__any_number_of_seconds() -> None:
    """A time budget of centuries is no error of the system's."""
    promise: Promise[int] = Promise()
    start(lambda: promise.set_result(1), "test")
    while not promise.wait(1e15):
        pass
    assert promise.result() == 1
