"""The checks of Celery: whether workers answer, and whether work gets done."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.core.cache import caches

from health_check.checks.clients import ServiceCheck, limited, needs
from health_check.concurrency.connections import is_shared_cache
from health_check.conf import seconds
from health_check.exceptions import HealthCheckException, ServiceReturnedUnexpectedResult, ServiceUnavailable

with needs("celery", extra="celery", what="health_check.contrib.celery"):
    import celery
    from celery.app import app_or_default
    from kombu import Producer

    from health_check.contrib._kombu import connected

__path__: list[str] = []  # of modules that django-health-check 3.x had in here, which health_check.compat makes

BROKER = "the broker of Celery"
"""What it is called in messages."""

PONG = {"ok": "pong"}
"""What a worker answers to a ping."""

KEY = "health_check.celery.heartbeat"
"""What the cache keys of heartbeats begin with."""

KEPT_SECONDS = 30 * 24 * 3600
"""For how long the cache keeps a heartbeat."""

TASK = "health_check.contrib.celery.beat"
"""The name of the task that leaves them."""


@dataclasses.dataclass(repr=False)
class Ping(ServiceCheck):
    """Check that workers answer.

    Verifies that the broker can be reached, that a worker answers, and that each of some queues has a worker that
    consumes it. It ends as soon as it knows; it tries once, regardless of Celery's settings. That costs the broker a
    connection, a queue for the answers, and a message to each worker and back a run.

    Args:
        app: The Celery app; default the current one, which in a Django process is the first that was made.
        limit: After how many answers to stop waiting; default None, which waits for as many as are needed.
        queues: The queues that are to be consumed; default those of ``CELERY_TASK_QUEUES``, else
            ``CELERY_TASK_DEFAULT_QUEUE``. If empty, any one worker is enough.
    """

    app: celery.Celery = dataclasses.field(default_factory=app_or_default, repr=False)
    limit: int | None = dataclasses.field(default=None, repr=False)
    queues: Collection[str] | None = None

    def check_status(self) -> None:
        asks_itself = type(self).check_active_queues is not Ping.check_active_queues
        survey = self._ask(set() if asks_itself else self._queues())
        for error in survey.errors():
            self.add_error(error)
        if asks_itself and not self.errors:
            self.check_active_queues(*survey.workers)

    def check_active_queues(self, *active_workers: str) -> None:
        """Verify that workers consume the queues; a subclass may override this, as in django-health-check 4.x.

        Args:
            active_workers: The workers that answered.
        """
        for error in self._ask(self._queues()).errors():
            self.add_error(error)

    def _ask(self, queues: set[str]) -> _Survey:
        """Ask all workers what they consume, or, where no queue matters, whether they are there."""
        available = self.client_timeout()
        end = time.monotonic() + available
        survey = _Survey(unseen=queues, limit=self.limit)
        with connected(self.app.connection_for_write, available / 2, BROKER) as connection:
            mailbox = self.app.control.mailbox(connection)
            channel = connection.channel()
            mailbox.producer_pool = _Once(channel, auto_declare=False)
            with contextlib.suppress(_Enough):
                command = "active_queues" if queues else "ping"
                left = max(0.0, end - time.monotonic())
                mailbox.multi_call(command, timeout=left, callback=survey.take, channel=channel)
        return survey

    def _queues(self) -> set[str]:
        if self.queues is not None:
            return set(self.queues)
        configured = self.app.conf.task_queues
        if isinstance(configured, Mapping):
            return set(configured)
        return {queue.name for queue in configured or ()} or {self.app.conf.task_default_queue}


@dataclasses.dataclass(repr=False)
class Heartbeat(ServiceCheck):
    """Check that tasks are done.

    Verifies that the task ``health_check.contrib.celery.beat`` ran not long ago: the scheduler sent it, the broker
    passed it on, and a worker had the time for it. It leaves its time in a cache that web and worker processes share.
    Schedule it, for each queue that matters::

        CELERY_IMPORTS = ["health_check.contrib.celery"]
        CELERY_BEAT_SCHEDULE = {
            "heartbeat": {
                "task": "health_check.contrib.celery.beat",
                "schedule": 30,
                "options": {"queue": "celery", "expires": 30},
            }
        }

    That costs the cache a connection and a read a run.

    Args:
        queue: The queue that the task comes by; default ``"celery"``.
        max_silence: How long ago the task may have run at most, in seconds or as a timedelta; default 120.
        alias: The cache, as in ``CACHES``; default ``"default"``.
    """

    queue: str = "celery"
    max_silence: float | datetime.timedelta = dataclasses.field(default=120.0, repr=False)
    alias: str = dataclasses.field(default="default", repr=False)

    def check_status(self) -> None:
        try:
            with limited(self.alias, self.client_timeout()) as cache:
                ran = cache.get(f"{KEY}:{self.queue}")
        except Exception as error:  # each cache's client has exceptions of its own
            raise ServiceUnavailable(f"cannot read the heartbeat from the cache ({type(error).__name__})") from error
        if not isinstance(ran, int | float):
            if not is_shared_cache(self.alias):
                raise ServiceUnavailable(f"no other process sees the cache {self.alias!r}: use Redis or Memcached")
            raise ServiceUnavailable(f"the task {TASK} has not run: is it scheduled, and is a worker there for it?")
        silence = time.time() - ran
        if silence > (seconds(self.max_silence) or 0.0):
            raise ServiceUnavailable(f"the last heartbeat is {silence:.0f} s old")


@celery.shared_task(name=TASK, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def beat(self: celery.Task, queue: str | None = None, alias: str = "default") -> None:
    """Leave the time for the check ``Heartbeat`` to find.

    Args:
        self: The task.
        queue: What the check calls the queue; default the routing key that the task came by, which is the queue's
            name unless the site says otherwise.
        alias: The cache, as in ``CACHES``.
    """
    came_by = (self.request.delivery_info or {}).get("routing_key")
    name = queue or came_by or self.app.conf.task_default_queue
    caches[alias].set(f"{KEY}:{name}", time.time(), KEPT_SECONDS)


class _Enough(Exception):
    """Ends the wait for answers."""


class _Survey:
    """What the workers have answered."""

    def __init__(self, *, unseen: set[str], limit: int | None) -> None:
        self._unseen = set(unseen)
        self._limit = limit
        self._by_ping = not unseen
        self._wrong = 0
        self.workers: list[str] = []

    def take(self, answers: Mapping[str, Any]) -> None:
        """Note the answer of a worker; raises _Enough if no other one is needed."""
        for worker, said in answers.items():
            self.workers.append(worker)
            if self._by_ping:
                self._wrong += said != PONG
            elif isinstance(said, list):
                self._unseen -= {queue["name"] for queue in said}
            else:
                self._wrong += 1
        count = len(self.workers)
        if (count > self._wrong and not self._unseen) if self._limit is None else count >= self._limit:
            raise _Enough

    def errors(self) -> Iterator[HealthCheckException]:
        """Return what is wrong."""
        if not self.workers:
            yield ServiceUnavailable("no worker answers")
            return
        if self._wrong:
            yield ServiceReturnedUnexpectedResult(f"{self._wrong} of {len(self.workers)} workers gave a wrong answer")
        for queue in sorted(self._unseen):
            yield ServiceUnavailable(f"no worker consumes the queue {queue!r}")


class _Once(Producer):  # type: ignore[misc]
    """A pool of one producer, itself: Celery's connects by itself, and tries to publish again and again."""

    def acquire(self) -> contextlib.nullcontext[_Once]:
        return contextlib.nullcontext(self)

    def publish(self, body: Any, *, retry: bool, **options: Any) -> None:
        super().publish(body, **options)
