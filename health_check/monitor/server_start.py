"""How long ago the server of this process was started: what was measured before may have been true then only."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def server_age() -> float:
    """Return for how many seconds the server has been running that this process belongs to.

    For a worker that is its master's age: all workers then agree, also one that takes the place of another. A
    master is a parent that runs the same command (gunicorn, uWSGI), or that started this process by
    ``multiprocessing`` (uvicorn, hypercorn, granian).
    """
    import psutil  # here, as only servers need it, and it takes its time

    process = psutil.Process()
    age = 0.0
    try:
        age = _age_of(process)
        parent = process.parent()
        if parent is not None and (multiprocessing.parent_process() is not None or _same_command(process, parent)):
            age = _age_of(parent)
    except psutil.Error:  # the parent is somebody else's, or gone
        pass
    return max(0.0, age)


def _age_of(process: psutil.Process) -> float:
    """Return the age of a process, where possible by a clock that nobody sets."""
    import psutil

    if not hasattr(time, "CLOCK_BOOTTIME"):
        return time.time() - process.create_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - (process.create_time() - psutil.boot_time())


def _same_command(process: psutil.Process, parent: psutil.Process) -> bool:
    """Tell whether both run the same command; a title that a server gives its processes begins with its own name."""
    own, others = process.cmdline(), parent.cmdline()
    if not own or not others:
        return False
    return own == others or (own[0].partition(":")[0] == others[0].partition(":")[0] and ":" in own[0])
