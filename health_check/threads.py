"""The threads that checks run on: the one place that knows how a thread is made.

They are daemons, so that the exit of the process waits for none of them, and start on first use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


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
