"""The threads that checks run on, and what they share with others: the one place that knows how these are made.

Threads are daemons, so that the exit of the process waits for none of them, and start on first use. All are the
operating system's, and all locks, too: gevent's monkey patching, where it is in force, turns those of ``threading``
into something that only greenlets of one thread can share without harm.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread
import contextlib
import importlib
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from health_check.concurrency.connections import leave_pools

T = TypeVar("T")


LONGEST_SECONDS = 3600.0
"""How long to wait at once at most: the system takes no number of seconds however large."""


def is_patched() -> bool:
    """Return whether gevent has replaced the threads of this process by greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def original(module: str, name: str) -> Any:
    """Return what a module offers by a name where nothing is monkey-patched."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(sys.modules.get(module) or importlib.import_module(module), name)


def new_lock() -> threading.Lock:
    """Return a lock that threads of the operating system share; hold it for moments only."""
    if "gevent.monkey" not in sys.modules:
        return _thread.allocate_lock()
    lock: threading.Lock = original("_thread", "allocate_lock")()
    return lock


def new_queue() -> queue.SimpleQueue[Any]:
    """Return a queue between threads of the operating system."""
    made: queue.SimpleQueue[Any] = original("queue", "SimpleQueue")()
    return made


class Condition:
    """Let threads wait for each other, as ``threading.Condition`` does."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify(self) -> None:
        """Wake one thread; called with the condition held."""
        if self._waiting:
            self._waiting.popleft().release()

    def wait(self, seconds: float) -> None:
        """Let go of the condition until notified, or until some seconds have passed."""
        waiter = new_lock()
        waiter.acquire()
        self._waiting.append(waiter)
        self._lock.release()
        try:
            waiter.acquire(timeout=min(seconds, LONGEST_SECONDS))
        finally:
            self._lock.acquire()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def wait_for(self, predicate: Callable[[], object], seconds: float) -> bool:
        """Wait until something holds, and return whether it does, after some seconds at most."""
        end = time.monotonic() + seconds
        while not predicate() and (left := end - time.monotonic()) > 0:
            self.wait(left)
        return bool(predicate())


def _leave_executors() -> None:
    """Have the exit of the process not wait for the threads of executors that daemon threads made, as hung checks do.

    Python joins the threads of all executors at its exit, those that are daemons included.
    """
    global _executors_left
    if not _executors_left:
        _executors_left = True
        with contextlib.suppress(AttributeError, RuntimeError):  # the exit has begun, or Python does it otherwise
            threading._register_atexit(_forget_executors)  # type: ignore[attr-defined]  # noqa: SLF001 - no other way


_executors_left = False


def _forget_executors() -> None:
    joined: dict[threading.Thread, Any] = getattr(concurrent.futures.thread, "_threads_queues", {})
    for thread in [thread for thread in list(joined) if thread.daemon]:
        del joined[thread]


def start(target: Callable[[], None], name: str) -> None:
    """Start a daemon thread.

    Args:
        target: What it does.
        name: What it is called in a list of threads, after ``health-check-``.

    Raises:
        RuntimeError: If the system has no thread left, or the interpreter is shutting down.
    """
    name = f"health-check-{name}"
    _leave_executors()
    if not is_patched():
        threading.Thread(target=target, name=name, daemon=True).start()
        return
    importlib.import_module("gevent").get_hub()  # gevent is not to set itself up in several threads at once
    original("_thread", "start_new_thread")(_without_gevent, (target, name))


def _without_gevent(target: Callable[[], None], name: str) -> None:
    """Be a thread that gevent knows nothing of, until something there waits and makes it have a hub of its own."""
    threading.current_thread().name = name
    leave_pools()
    try:
        target()
    finally:
        hub = importlib.import_module("gevent._hub_local").get_hub_if_exists()
        if hub is not None:
            hub.destroy(destroy_loop=True)
