"""The checks of Celery: whether workers answer, and whether work gets done."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Collection
from typing import Any

from django.core.cache import caches

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable
from health_check.labels import ConciseRepr

try:
    import celery
    from celery.app import app_or_default
    from kombu.exceptions import KombuError
except ImportError as error:
    raise ImportError(
        "health_check.contrib.celery needs celery: pip install 'django-health-exporter[celery]'"
    ) from error

KEY = "health_check.celery.heartbeat"
"""What the cache keys of heartbeats begin with."""

TASK = "health_check.contrib.celery.beat"
"""The name of the task that leaves them."""


@dataclasses.dataclass(repr=False)
class Ping(ConciseRepr, HealthCheck):
    """Check that workers answer.

    Verifies that the broker can be reached, that at least one worker answers a ping, that all that answer do so
    properly, and that each of some queues has a worker that consumes it. That costs the broker a connection and a
    message to each worker a run, and two with ``queues``.

    Args:
        app: The Celery app; default the current one.
        limit: After how many answers not to wait for more; default None, which waits four fifths of the budget
            for all there may be.
        queues: The queues that are to be consumed; default those of ``CELERY_TASK_QUEUES``, none if that is not set.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    app: celery.Celery = dataclasses.field(default_factory=app_or_default, repr=False)
    limit: int | None = dataclasses.field(default=None, repr=False)
    queues: Collection[str] | None = None
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        end = time.monotonic() + client_timeout(self)
        with _connected(self.app, client_timeout(self) / 2) as connection:
            workers = self._ping(connection, end)
            queues = self._queues()
            if queues:
                self._verify(connection, queues, workers)

    def _ping(self, connection: Any, end: float) -> list[str]:
        """Return the names of the workers that answer."""
        seconds = max(0.1, end - time.monotonic()) / (2 if self._queues() else 1)
        try:
            answers = self.app.control.ping(connection=connection, timeout=seconds, limit=self.limit) or []
        except (KombuError, OSError) as error:
            raise ServiceUnavailable(f"cannot ping the workers ({type(error).__name__})") from error
        if not answers:
            raise ServiceUnavailable("no worker answers")
        wrong = [name for answer in answers for name, said in answer.items() if said != {"ok": "pong"}]
        if wrong:
            raise ServiceReturnedUnexpectedResult(f"{len(wrong)} of {len(answers)} workers did not answer with pong")
        return [name for answer in answers for name in answer]

    def _verify(self, connection: Any, queues: Collection[str], workers: list[str]) -> None:
        inspect = self.app.control.inspect(
            destination=workers, connection=connection, timeout=client_timeout(self) / 2, limit=len(workers)
        )
        try:
            found = inspect.active_queues() or {}
        except (KombuError, OSError) as error:
            raise ServiceUnavailable(f"cannot ask the workers for their queues ({type(error).__name__})") from error
        consumed = {queue["name"] for of_worker in found.values() for queue in of_worker}
        for queue in sorted(set(queues) - consumed):
            self.add_error(ServiceUnavailable(f"no worker consumes the queue {queue!r}"))

    def _queues(self) -> Collection[str]:
        if self.queues is not None:
            return self.queues
        return [queue.name for queue in self.app.conf.task_queues or ()]


@dataclasses.dataclass(repr=False)
class Heartbeat(ConciseRepr, HealthCheck):
    """Check that work gets done.

    Verifies that the task ``health_check.contrib.celery.beat`` ran not long ago: the scheduler sent it, the broker
    passed it on, and a worker had the time for it. It leaves its time in a cache that web and worker processes share.
    Schedule it, for each queue that matters::

        CELERY_BEAT_SCHEDULE = {
            "health": {"task": "health_check.contrib.celery.beat", "schedule": 30, "kwargs": {"queue": "celery"}}
        }

    That costs the cache a read a run.

    Args:
        queue: The queue, as the task is told; default ``"celery"``.
        max_silence: How long ago the task may have run at most, in seconds or as a timedelta; default 120.
        alias: The cache, as in ``CACHES``; default ``"default"``.
    """

    queue: str = "celery"
    max_silence: float | datetime.timedelta = dataclasses.field(default=120.0, repr=False)
    alias: str = dataclasses.field(default="default", repr=False)

    def check_status(self) -> None:
        longest = self.max_silence
        seconds = longest.total_seconds() if isinstance(longest, datetime.timedelta) else float(longest)
        try:
            ran = caches[self.alias].get(f"{KEY}:{self.queue}")
        except Exception as error:  # each cache's client has exceptions of its own
            raise ServiceUnavailable(f"cannot read the heartbeat from the cache ({type(error).__name__})") from error
        if not isinstance(ran, int | float):
            raise ServiceUnavailable(f"the task {TASK} has not run: is it scheduled, and is a worker there for it?")
        silence = time.time() - ran
        if silence > seconds:
            raise ServiceUnavailable(f"the last heartbeat is {silence:.0f} s old")


@celery.shared_task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def beat(queue: str = "celery", alias: str = "default") -> None:
    """Leave the time for the check ``Heartbeat`` to find.

    Args:
        queue: Which of them.
        alias: The cache.
    """
    caches[alias].set(f"{KEY}:{queue}", time.time(), None)


@contextlib.contextmanager
def _connected(app: celery.Celery, seconds: float) -> Any:
    """Connect to the broker in time: Celery itself would try again and again, whatever its timeout."""
    connection = app.connection_for_write(connect_timeout=seconds)
    connection.transport_options = {**connection.transport_options, **_limits(connection, seconds)}
    try:
        try:
            connection.connect()
        except (KombuError, OSError) as error:
            raise ServiceUnavailable(f"cannot connect to the broker ({type(error).__name__})") from error
        except connection.connection_errors as error:
            raise ServiceUnavailable(f"cannot connect to the broker ({type(error).__name__})") from error
        yield connection
    finally:
        with contextlib.suppress(Exception):  # what is left of a connection that failed
            connection.release()


def _limits(connection: Any, seconds: float) -> dict[str, float]:
    """Return what keeps the transport from waiting for longer."""
    if connection.transport_cls in ("redis", "rediss", "sentinel"):
        return {"socket_connect_timeout": seconds, "socket_timeout": seconds}
    return {"read_timeout": seconds, "write_timeout": seconds}
