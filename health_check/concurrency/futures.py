"""A future: a value that is there later, for threads, greenlets and coroutines to wait for.

A ``concurrent.futures.Future`` will not do: greenlets and threads cannot wait for the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from health_check.concurrency.threads import LONGEST_SECONDS, is_patched, new_lock

T = TypeVar("T")
Contra = TypeVar("Contra", contravariant=True)


class Future(Generic[T]):
    """Something that is settled once: by a value, or by an exception."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._callbacks: list[Callable[[], object]] = []
        self._done = False
        self._value: T
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Return whether it is settled."""
        return self._done

    def result(self) -> T:
        """Return the value.

        Raises:
            RuntimeError: If it is not settled.
            BaseException: The exception that it was settled by.
        """
        if not self._done:
            raise RuntimeError("The future is not settled yet.")
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> BaseException | None:
        """Return the exception that it was settled by, if it was."""
        return self._error

    def set_result(self, value: T) -> None:
        """Settle it by a value; no effect where it is settled."""
        with self._lock:
            if self._done:
                return
            self._value = value
            self._done = True
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """Settle it by an exception; no effect where it is settled."""
        with self._lock:
            if self._done:
                return
            self._error = error
            self._done = True
        self._tell()

    def on_done(self, callback: Callable[[], object]) -> None:
        """Have a function called when it is settled, on the thread that does so; now if it is."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Wait until it is settled, some seconds at most; return whether it is."""
        if self._done or seconds <= 0:
            return self._done
        if is_patched():
            return self._wait_in_greenlet(seconds)
        waiter = new_lock()
        waiter.acquire()
        self.on_done(waiter.release)
        waiter.acquire(timeout=min(seconds, LONGEST_SECONDS))
        return self._done

    def __await__(self) -> Generator[Any, None, T]:
        yield from self.wait_on_loop(None).__await__()
        return self.result()

    async def wait_on_loop(self, seconds: float | None) -> bool:
        """Wait as ``wait`` does, without blocking the event loop; without end for None."""
        if self._done or (seconds is not None and seconds <= 0):
            return self._done
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, future)

        self.on_done(wake)
        await asyncio.wait([future], timeout=seconds)
        return self._done

    def _wait_in_greenlet(self, seconds: float) -> bool:
        event = importlib.import_module("gevent.event").Event()
        watcher: Any = importlib.import_module("gevent").get_hub().loop.async_()
        watcher.start(event.set)
        lock = new_lock()
        closed: list[bool] = []

        def wake() -> None:
            with lock:
                if not closed:
                    watcher.send()

        try:
            self.on_done(wake)
            event.wait(seconds)
        finally:
            with lock:
                closed.append(True)
            watcher.stop()
            watcher.close()
        return self._done

    def _tell(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Settled(Protocol[Contra]):
    """What can be settled: a future of ours, or of the standard library."""

    def set_result(self, value: Contra, /) -> None:
        """Settle it by a value."""

    def set_exception(self, error: BaseException, /) -> None:
        """Settle it by an exception."""


def settle(future: Settled[T], function: Callable[[], T]) -> None:
    """Call a function and settle the future with what it returns or raises."""
    try:
        value = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
