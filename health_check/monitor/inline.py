"""Runs inline: where a reader that runs checks in its own thread finds them, and waits for what others run."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from health_check.concurrency.futures import Future
from health_check.concurrency.threads import new_lock
from health_check.runner.run import Run


class InlineRuns:
    """Hand runs over to the thread that reads."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._runs: collections.deque[Run] = collections.deque()
        self._news: Future[None] = Future()
        self._left = False

    def put(self, runs: Sequence[Run]) -> bool:
        """Hand runs over; return False if nobody is there any more."""
        with self._lock:
            if self._left:
                return False
            self._runs.extend(runs)
        self.ring()
        return True

    def ring(self) -> None:
        """Have the reader look at what it waits for."""
        with self._lock:
            news, self._news = self._news, Future()
        news.set_result(None)

    def take(self) -> Run | None:
        """Return the next run, if there is one."""
        with self._lock:
            return self._runs.popleft() if self._runs else None

    @property
    def news(self) -> Future[None]:
        """What is settled as soon as there is something new."""
        return self._news

    def leave(self) -> list[Run]:
        """Be there no more; return the runs that were not taken."""
        with self._lock:
            self._left = True
            return list(self._runs)
