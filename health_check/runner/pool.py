"""The pool: daemon threads that take tasks from one queue."""

from __future__ import annotations

import collections
from collections.abc import Callable

from health_check.concurrency import threads
from health_check.logs import log_error, log_once

IDLE_SECONDS = 60.0
"""How long a thread waits for another task before it ends."""


class Task:
    """Something for a thread to do once."""

    __slots__ = ("abandoned", "ended", "run", "started")

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        self.started = False
        self.ended = False
        self.abandoned = False


class Pool:
    """Run tasks on daemon threads, started when there is something to do.

    A ThreadPoolExecutor does not fit: the exit of the process waits for its threads, and a hung one still counts.

    Args:
        limit: Returns how many threads may work at once, abandoned ones not counted.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._condition = threads.Condition()
        self._tasks: collections.deque[Task] = collections.deque()
        self._idle = 0
        self._size = 0
        self._waking = False
        """Whether a thread was woken or started that has not looked for a task yet: the next one is up to it."""
        self._is_closed = False

    def close(self) -> None:
        """Have threads that have nothing to do end now, and others then; what is submitted later starts another one."""
        with self._condition:
            self._is_closed = True
            for _ in range(self._idle):
                self._condition.notify()

    def submit(self, run: Callable[[], None]) -> Task:
        """Have a thread do something as soon as one is free.

        Raises:
            RuntimeError: If there is no thread and none can be started.
        """
        task = Task(run)
        with self._condition:
            self._tasks.append(task)
            try:
                self._wake()
            except RuntimeError:
                self._tasks.remove(task)
                raise
        return task

    def abandon(self, task: Task) -> None:
        """Stop counting the thread of a task that has not ended in time, so that another can take its place."""
        with self._condition:
            if not task.started or task.ended or task.abandoned:
                return
            task.abandoned = True
            self._size -= 1
            self._wake_next()

    def _wake(self) -> None:
        """Have one more thread look for a task, if there may be one; that wakes the next before it does its own.

        So a thread that does short tasks one after the other need not wait for others to get the interpreter.
        """
        if self._waking:
            return
        if self._idle:
            self._waking = True
            self._condition.notify()
            return
        if self._size >= max(1, self._limit()):
            return
        try:
            threads.start(self._work, "run")
        except RuntimeError:
            if not self._size:
                raise
        else:
            self._waking = True
            self._size += 1

    def _wake_next(self) -> None:
        """Do the same for a caller that cannot handle that there is no thread."""
        if self._tasks:
            try:
                self._wake()
            except RuntimeError as error:
                log_once(
                    "pool", "No thread can be started for the health checks that wait for one.", error, beside=True
                )

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task.run()
            except Exception as error:
                log_error("A thread of the health checks failed.", error, beside=True)
            with self._condition:
                task.ended = True
                if task.abandoned:
                    return

    def _next(self) -> Task | None:
        with self._condition:
            if not self._tasks:
                self._waking = False
                self._idle += 1
                self._condition.wait_for(lambda: self._tasks or self._is_closed, IDLE_SECONDS)
                self._idle -= 1
            self._waking = False
            if self._tasks:
                task = self._tasks.popleft()
                task.started = True
                self._wake_next()
                return task
            self._size -= 1
            return None
