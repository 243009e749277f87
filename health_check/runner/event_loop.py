"""The event loop that async checks run on: a thread of its own, replaced when a check blocks it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import queue
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_connections
from health_check.concurrency.futures import settle
from health_check.logs import log_once
from health_check.runner.boundary import execute_async
from health_check.runner.pool import Pool, Task
from health_check.runner.run import Run

LEAVING_SECONDS = 1.0
"""How long the tasks on a loop that was replaced may take to clean up."""


class AsyncRun:
    """A run of an async check, with the pool threads that work for it.

    It ends when its coroutine and all these threads have: a sync call that hangs outlives the cancellation.
    """

    def __init__(self, run: Run, pool: Pool) -> None:
        self.run = run
        self.task: asyncio.Task[None] | None = None
        self.executor = CheckExecutor(self)
        self._pool = pool
        self._lock = threads.new_lock()
        self._going_on = 1
        self._coroutine_ended = False
        self._given_up = False
        self._thread_tasks: list[Task] = []

    def on_thread(self, work: Callable[[], None]) -> None:
        """Have a pool thread do something for the check."""
        with self._lock:
            self._going_on += 1

        def call() -> None:
            try:
                work()
            finally:
                close_connections()
                self._one_ended()

        try:
            self._thread_tasks.append(self._pool.submit(call))
        except RuntimeError:
            self._one_ended()
            raise

    def abandon_threads(self) -> None:
        """Stop counting the threads."""
        for task in self._thread_tasks:
            self._pool.abandon(task)

    def give_up(self) -> Run:
        """Have nothing more to do with the run, and return it, for another loop to start it again."""
        with self._lock:
            self._given_up = True
        self.abandon_threads()
        return self.run

    def coroutine_ended(self) -> None:
        """Note that the coroutine has ended, or is on a loop that will do nothing but cancel it."""
        with self._lock:
            again, self._coroutine_ended = self._coroutine_ended, True
        if not again:
            self._one_ended()

    def _one_ended(self) -> None:
        with self._lock:
            self._going_on -= 1
            last = self._going_on == 0 and not self._given_up
        if last:
            self.run.end()


_current: contextvars.ContextVar[AsyncRun] = contextvars.ContextVar("health_check_async_run")


class CheckExecutor(concurrent.futures.Executor):
    """Run the thread-sensitive sync calls of one async check, the ORM's say, one by one on one pool thread."""

    def __init__(self, item: AsyncRun) -> None:
        self._item = item
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = threads.new_queue()
        self._serving = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future, call = _as_future(fn, args, kwargs)
        self._calls.put(call)
        if not self._serving:
            self._item.on_thread(self._serve)
            self._serving = True
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Release the thread; never waits for it."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class LoopExecutor(concurrent.futures.ThreadPoolExecutor):
    """Run what async checks give to their loop's default executor (name look-ups) on the pool's daemon threads.

    asyncio insists on a ThreadPoolExecutor there, whose own threads would hold up the exit of the process.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future, call = _as_future(fn, args, kwargs)
        item = _current.get(None)
        if item is None:
            threads.start(call, "executor")
        else:
            item.on_thread(call)
        return future


class EventLoop:
    """An event loop on a daemon thread; it is replaced when a check blocks it.

    Args:
        clock: Returns the time.

    Raises:
        RuntimeError: If no thread can be started.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.SelectorEventLoop(threads.original("selectors", "DefaultSelector")())
        self._loop.set_default_executor(LoopExecutor(1))
        self._leaving = False
        self._rests = "mod_wsgi" in sys.modules
        self._wake: queue.SimpleQueue[None] = threads.new_queue()
        self._asked_at: float | None = None
        self.runs: set[AsyncRun] = set()
        try:
            threads.start(self._run, "event-loop")
        except RuntimeError:
            self._loop.close()
            raise

    def submit(self, item: AsyncRun) -> None:
        """Run an async check."""
        if self._rests and not self.runs:
            self._asked_at = None  # it has not responded, as it did not run
        self.runs.add(item)
        item.run.abandon = lambda: self._abandon(item)
        self._loop.call_soon_threadsafe(self._create_task, item)
        self._go_on()

    def is_blocked(self, seconds: float) -> bool:
        """Return whether the loop has not responded for some seconds since this was asked before; asks it again."""
        asked_at, now = self._asked_at, self._clock.monotonic() - self._clock.lost_seconds
        if asked_at is not None:
            return now - asked_at >= seconds
        if self.runs:
            self._asked_at = now
            self._loop.call_soon_threadsafe(self._respond)
        return False

    def retire(self) -> list[Run]:
        """Abandon the loop to the check that blocks it; it stops when that check returns.

        Returns:
            The other runs that were on it and have no outcome yet.
        """
        task = asyncio.current_task(self._loop)
        others = [item for item in list(self.runs) if task is None or item.task is not task]
        self.runs.difference_update(others)
        self.stop()
        decided = {item for item in others if item.run.result is not None}
        for item in others:
            item.executor.shutdown()
        for item in decided:
            item.coroutine_ended()
        return [item.give_up() for item in others if item not in decided]

    def stop(self) -> None:
        """Have the loop end as soon as it can."""
        self._leaving = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._go_on()

    def _go_on(self) -> None:
        if self._rests:
            self._wake.put(None)

    def _respond(self) -> None:
        self._asked_at = None

    def _abandon(self, item: AsyncRun) -> None:
        """Cancel a check whose time is up, and stop counting the threads that work for it."""
        item.abandon_threads()
        if item.task is not None and item in self.runs:
            self._loop.call_soon_threadsafe(item.task.cancel)

    def _run(self) -> None:
        while not self._leaving:
            if self._rests and not self.runs:
                self._wake.get()
                if not self._leaving:
                    continue
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # of a task or callback that a check made
                log_once("loop", "A health check tried to end the process.", error, beside=True)
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:  # they get to their `finally`, if they do not take long
            with contextlib.suppress(RuntimeError):  # it was told to stop while it rested
                self._loop.run_until_complete(asyncio.wait(left, timeout=LEAVING_SECONDS))
        self._loop.close()

    def _create_task(self, item: AsyncRun) -> None:
        if item in self.runs:
            item.task = self._loop.create_task(self._execute(item), context=contextvars.Context())

    async def _execute(self, item: AsyncRun) -> None:
        _current.set(item)
        try:
            item.run.begin()
            async with _on_one_thread(item.executor):
                with item.run.observer.attach():
                    execution_result = await execute_async(item.run.definition)
            if item in self.runs:
                item.run.finish(execution_result)
        except RuntimeError as error:
            item.run.fail_to_start(error)
        finally:
            item.executor.shutdown()
            self.runs.discard(item)
            if self._rests and not self.runs and not self._leaving:
                self._loop.stop()
            item.coroutine_ended()


@contextlib.asynccontextmanager
async def _on_one_thread(executor: CheckExecutor) -> AsyncIterator[None]:
    try:
        context = ThreadSensitiveContext(executor=executor)
    except TypeError:  # asgiref before 3.13 takes no executor of the caller
        context = ThreadSensitiveContext()
        SyncToAsync.context_to_thread_executor[context] = executor
    async with context:
        yield


def _as_future(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[concurrent.futures.Future[Any], Callable[[], None]]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def call() -> None:
        if not future.set_running_or_notify_cancel():
            return
        settle(future, lambda: fn(*args, **kwargs))

    return future, call
