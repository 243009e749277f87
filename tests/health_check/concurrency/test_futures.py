"""Futures: settled once, by whatever thread, and awaited by threads, coroutines and greenlets."""

from __future__ import annotations

import asyncio
import functools
import importlib
import threading
import time
from collections.abc import Callable

import pytest

from health_check.concurrency.futures import Future, settle
from health_check.concurrency.threads import start
from tests.support.bench import SECONDS
from tests.support.patched import run_patched


def test_result__is_what_it_was_settled_by_first() -> None:
    """Only the first to settle it does, by a value or an exception; it is there for whoever asks, however often."""
    future: Future[int] = Future()
    calls: list[int] = []
    future.on_done(lambda: calls.append(future.result()))
    assert (future.done(), future.exception(), future.wait(0), future.wait(-1)) == (False, None, False, False)
    with pytest.raises(RuntimeError, match="not settled yet"):
        future.result()
    future.set_result(7)
    future.set_result(2)
    future.set_exception(ValueError())
    assert (future.done(), future.exception(), future.wait(0)) == (True, None, True)
    assert (future.result(), future.result(), calls) == (7, 7, [7])
    failed: Future[int] = Future()
    failed.set_exception(error := SystemExit(3))
    failed.set_result(1)
    assert failed.exception() is error
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            failed.result()
        assert caught.value is error


def test_settle__one_of_many_threads() -> None:
    """However many threads settle it at once, everybody sees one value."""
    future: Future[int] = Future()
    barrier, seen = threading.Barrier(8), list[int]()

    def race(number: int) -> None:
        barrier.wait(SECONDS)
        future.set_result(number)
        seen.append(future.result())

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert seen == [future.result()] * 8


def test_on_done__in_order_and_at_once_if_settled() -> None:
    """Callbacks are called on the thread that settles it, in their order; one that comes later at once."""
    future: Future[int] = Future()
    calls: list[tuple[str, int | None]] = []

    def note(name: str) -> None:
        calls.append((name, threading.get_ident()))

    for name in "abc":
        future.on_done(functools.partial(note, name))
    thread = threading.Thread(target=future.set_result, args=(1,))
    thread.start()
    settler = thread.ident
    thread.join(SECONDS)
    future.on_done(lambda: note("d"))
    assert calls == [("a", settler), ("b", settler), ("c", settler), ("d", threading.get_ident())]


def test_wait__by_several_threads() -> None:
    """All threads that wait go on when it is settled, and none before; who waits in vain does so for its time."""
    future: Future[int] = Future()
    waited: list[bool] = []
    threads = [threading.Thread(target=lambda: waited.append(future.wait(SECONDS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    assert not future.wait(0.05)
    assert time.monotonic() - begun >= 0.05
    assert waited == []
    future.set_result(1)
    for thread in threads:
        thread.join(SECONDS)
    assert waited == [True] * 4
    assert future.wait(0.05)


def test_await__value_and_exception() -> None:
    """A coroutine gets the value, or the exception, and lets others run meanwhile."""

    async def main() -> tuple[int, BaseException | None]:
        future, failed = Future[int](), Future[int]()
        threading.Timer(0.02, future.set_result, (7,)).start()
        asyncio.get_running_loop().call_soon(failed.set_exception, KeyError("x"))
        value, error = await asyncio.gather(awaited(future), awaited(failed), return_exceptions=True)
        assert isinstance(value, int)
        return value, error if isinstance(error, BaseException) else None

    value, error = asyncio.run(main())
    assert value == 7
    assert isinstance(error, KeyError)


async def awaited(future: Future[int]) -> int:
    return await future


def test_wait_on_loop__time_is_up_or_it_is_cancelled() -> None:
    """A coroutine waits no longer than it was told; one that is cancelled leaves the others waiting."""

    async def main() -> None:
        future: Future[int] = Future()
        assert not await future.wait_on_loop(0)
        assert not await future.wait_on_loop(0.02)
        first, second = (asyncio.ensure_future(future.wait_on_loop(SECONDS)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        thread = threading.Thread(target=future.set_result, args=(1,))
        thread.start()
        assert await second
        thread.join(SECONDS)
        assert await future.wait_on_loop(0)
        assert await future.wait_on_loop(None)
        await asyncio.sleep(0)  # what wakes the waiters that have left

    asyncio.run(main())


def test_wait_on_loop__the_loop_is_closed() -> None:
    """A future that is settled after a waiter's loop has ended troubles nobody, and wakes the others."""
    future: Future[int] = Future()

    async def leave() -> None:
        assert not await future.wait_on_loop(0.01)

    asyncio.run(leave())
    woken: list[bool] = []
    future.on_done(lambda: woken.append(True))
    future.set_result(1)
    assert woken == [True]


def test_wait_on_loop__several_loops() -> None:
    """Coroutines of different loops can wait for the same future."""
    future: Future[int] = Future()
    values: list[int] = []

    async def main() -> None:
        values.append(await future)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    for thread in threads:
        thread.start()
    future.set_result(3)
    for thread in threads:
        thread.join(SECONDS)
    assert values == [3, 3, 3]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
def test_settle__whatever_is_raised(error: BaseException) -> None:
    """A function settles a future by what it returns, and by whatever it raises."""
    future, failed = Future[int](), Future[int]()
    settle(future, lambda: 7)
    settle(failed, raiser(error))
    assert future.result() == 7
    assert failed.exception() is error


def raiser(error: BaseException) -> Callable[[], int]:
    def function() -> int:
        raise error

    return function


def test_gevent__greenlets_and_real_threads_wait() -> None:
    """Under gevent one greenlet waits for a real thread while others run, and a real thread for a greenlet."""
    run_patched(_greenlets_and_real_threads_wait)


def _greenlets_and_real_threads_wait() -> None:
    """Be the patched process."""
    _a_greenlet_waits()
    _a_real_thread_waits()


def _a_greenlet_waits() -> None:
    gevent = importlib.import_module("gevent")
    gate, future, late = importlib.import_module("gevent.event").Event(), Future[int](), Future[int]()
    beats: list[int] = []

    def beat() -> None:
        for number in range(5):
            gevent.sleep(0.01)
            beats.append(number)
        gate.set()

    gevent.spawn(beat)
    assert not late.wait(0.02)
    waiter = gevent.spawn(future.wait, 30)
    assert gate.wait(10), "the greenlet that waits keeps the others from running"
    assert not waiter.ready()
    start(lambda: future.set_result(7), "settler")
    assert waiter.get(timeout=10) is True
    assert future.result() == 7
    late.set_result(1)  # nobody waits any more: the watcher is closed
    assert late.wait(0)
    for _ in range(200):  # settled at any moment between asking and waiting
        made: Future[int] = Future()
        start(functools.partial(made.set_result, 3), "settler")
        assert made.wait(10)
        assert made.result() == 3


def _a_real_thread_waits() -> None:
    gevent = importlib.import_module("gevent")
    future, outcome = Future[int](), Future[bool]()
    start(lambda: outcome.set_result(future.wait(30)), "waiter")
    gevent.spawn_later(0.05, future.set_result, 1)
    assert outcome.wait(10)
    assert outcome.result() is True


def test_wait__any_number_of_seconds() -> None:
    """A time budget of centuries is no error of the system's."""
    future: Future[int] = Future()
    start(lambda: future.set_result(1), "test")
    while not future.wait(1e15):
        pass
    assert future.result() == 1
