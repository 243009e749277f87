"""The threads that checks run on: the one place that knows how a thread is made.

They are daemons, so that the exit of the process waits for none of them, and start on first use.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def start(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread.

    Args:
        target: What it does.
        name: What it is called in a list of threads, after ``health-check-``.

    Raises:
        RuntimeError: If the system has no thread left, or the interpreter is shutting down.
    """
    thread = threading.Thread(target=target, name=f"health-check-{name}", daemon=True)
    thread.start()
    return thread


def call(function: Callable[[], T], name: str) -> concurrent.futures.Future[T]:
    """Call a function on a daemon thread of its own, and return its future.

    Raises:
        RuntimeError: As ``start`` does.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    start(lambda: settle(future, function), name)
    return future


def settle(future: concurrent.futures.Future[T], function: Callable[[], T]) -> None:
    """Call a function and give the future what it returns or raises, whatever that is."""
    try:
        value = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
