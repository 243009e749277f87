"""What this process holds: one monitor, and the catalogue of its URLconf. Both are made on first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.signals import setting_changed
from django.urls import get_resolver

from health_check.concurrency.clock import Clock
from health_check.conf import settings
from health_check.logs import tell_by
from health_check.monitor.history import History, HistoryReader, StoreSummary, summary_of
from health_check.monitor.monitor import Monitor
from health_check.monitor.reports import Overview, Reading, overview_of
from health_check.monitor.scheduler import Scheduler
from health_check.monitor.server_start import server_age
from health_check.past import Failure
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint
from health_check.registry.plugins import plugin_dir
from health_check.runner.runner import Runner
from health_check.stores import create_store
from health_check.stores.client import ANSWER_SECONDS, StoreClient


class Runtime:
    """The monitor of this process, and the catalogue of the URLconf in force."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._clock = Clock()
        self._runner = Runner(self._clock)
        self._monitor: Monitor | None = None
        self._history_reader: HistoryReader | None = None
        self._scheduler: Scheduler | None = None
        self._catalogue: Catalogue | None = None
        self._known: tuple[str, object, object] = ("", None, None)

    @property
    def prepared(self) -> bool:
        """Whether the catalogue is there."""
        return self._catalogue is not None and self._is_current()

    @property
    def store_client(self) -> StoreClient | None:
        """What keeps the records in step with the store, if there is one yet."""
        return self._monitor.store_client if self._monitor is not None else None

    @property
    def history_reader(self) -> HistoryReader:
        """What asks the store for more than the last results."""
        if self._history_reader is None:
            self._history_reader = HistoryReader(self.monitor.store_client)
        return self._history_reader

    @property
    def scheduler(self) -> Scheduler:
        """What has the checks of all endpoints run in time, once it is started."""
        if self._scheduler is None:
            with self._lock:
                if self._scheduler is None:
                    self._scheduler = Scheduler(self._all_checks, self.monitor, self._clock)
        return self._scheduler

    def _all_checks(self) -> Sequence[Definition]:
        check_set = self.catalogue.check_set
        return check_set.checks_of(tuple(check_set.members))

    def close(self) -> None:
        """End what runs in the background."""
        self._runner.close()
        if self._monitor is not None:
            self._monitor.close()
        if self._scheduler is not None:
            self._scheduler.close()

    @property
    def monitor(self) -> Monitor:
        """The monitor."""
        if self._monitor is None:
            with self._lock:
                if self._monitor is None:
                    self._monitor = Monitor(create_store, self._runner, self._clock, server_age)
        return self._monitor

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of ``HEALTH_CHECK["URLCONF"]``; a new one when the resolver is, or a check is registered."""
        catalogue = self._catalogue
        if catalogue is None or not self._is_current():
            with self._lock:
                if self._catalogue is None or not self._is_current():
                    urlconf = settings.URLCONF
                    known = urlconf, get_resolver(urlconf), plugin_dir.entries
                    self._catalogue = Catalogue(urlconf, self._runner.settle, self._clock)
                    self._known = known
                return self._catalogue
        return catalogue

    def _is_current(self) -> bool:
        """Return whether the catalogue was made of the URLconf and the registered checks that there are now."""
        urlconf, resolver, entries = self._known
        return resolver is get_resolver(urlconf) and entries is plugin_dir.entries


_current = Runtime()
_pid = os.getpid()
_inherited: list[Runtime] = []
_paused: list[StoreClient] = []


def get() -> Runtime:
    """Return what this process holds."""
    if _pid != os.getpid():  # uWSGI forks without Python's fork hooks
        _reset_in_child()
    return _current


def reset() -> None:
    """Start again, as under other settings."""
    global _current
    before, _current = _current, Runtime()
    before.close()


def _reset_in_child() -> None:
    """Start again in a child process: the threads are not there, and locks may be held forever."""
    global _current, _pid
    _pid = os.getpid()
    _paused.clear()
    tell_by()  # this process has no such thread
    _inherited.append(_current)  # never closed: the child must not use the parent's connections
    _current = Runtime()


def _reset_after_setting(*, setting: str, **_: Any) -> None:
    if setting in ("HEALTH_CHECK", "ROOT_URLCONF", "DEBUG"):
        reset()


def _before_fork() -> None:
    """Have no call to the store under way: a child could not use SQLite whose locks are held by a thread it lacks."""
    if _current.store_client is not None and _current.store_client.pause():
        _paused.append(_current.store_client)


def _after_fork() -> None:
    if _paused:
        _paused.pop().go_on()


if hasattr(os, "register_at_fork"):  # not on Windows, where no process forks
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_reset_in_child)
setting_changed.connect(_reset_after_setting, dispatch_uid="health_check.monitor.runtime")


def read(
    endpoints: Iterable[Endpoint] | None = None,
    *,
    check_set: CheckSet | None = None,
    wait: float | None = None,
    force: bool = False,
) -> Overview:
    """Read endpoints and their checks at one moment.

    Args:
        endpoints: The endpoints; default all.
        check_set: Says which checks they have; default the current one.
        wait: For how many seconds to wait at most.
        force: Run every check, fresh or not.
    """
    runtime = get()
    endpoints = None if endpoints is None else tuple(endpoints)
    check_set = check_set or runtime.catalogue.complete(endpoints)
    chosen = tuple(check_set.members) if endpoints is None else tuple(endpoints)
    inline = True if len(chosen) == 1 and chosen[0].option("use_threading") is False else None
    if settings.SCHEDULER:
        runtime.scheduler.start()
    readings = runtime.monitor.read(check_set.checks_of(chosen), wait=wait, force=force, inline=inline)
    return overview_of(chosen, check_set, readings, draining=_matters(chosen) and is_draining())


def is_draining() -> bool:
    """Return whether this host is drained, as far as that is known."""
    store_client = get().monitor.store_client
    store_client.learn_draining().wait(ANSWER_SECONDS)
    return bool(store_client.draining)


async def _is_draining() -> bool:
    store_client = get().monitor.store_client
    await store_client.learn_draining().wait_on_loop(ANSWER_SECONDS)
    return bool(store_client.draining)


def _matters(endpoints: Iterable[Endpoint]) -> bool:
    """Return whether it matters to any of these endpoints that the host is drained."""
    return any(endpoint.is_readiness for endpoint in endpoints)


def drain(*, undo: bool = False) -> bool:
    """Have the readiness endpoints of this host answer 503, or no longer.

    Returns:
        Whether that could be noted where all processes of the host see it within a second.
    """
    return get().monitor.store_client.drain(not undo)


def flush(seconds: float) -> None:
    """Wait until what was found is in the log and receivers of signals have been called, some seconds at most."""
    get().monitor.flush(seconds)


def store_summary(readings: Sequence[Reading]) -> StoreSummary:
    """Return what is counted of checks that were just read, by all processes together."""
    return summary_of(readings, get().monitor.store_client)


def history(readings: Sequence[Reading]) -> History:
    """Return what is known of the past of checks that were read, and of other hosts."""
    return get().history_reader.history(readings)


def failures(readings: Sequence[Reading]) -> Mapping[str, tuple[Failure, ...]]:
    """Return the last failures of checks that were read, newest first, by label."""
    return get().history_reader.failures(readings)


async def aread(endpoints: Sequence[Endpoint], *, check_set: CheckSet) -> Overview:
    """Read endpoints as ``read`` does, without blocking the event loop; needs a process that is prepared."""
    if settings.SCHEDULER:
        get().scheduler.start()
    readings = await get().monitor.aread(check_set.checks_of(endpoints))
    return overview_of(endpoints, check_set, readings, draining=_matters(endpoints) and await _is_draining())
