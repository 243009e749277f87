"""When the server that this process belongs to was started: what was measured before may have been true then only."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def server_start() -> float:
    """Return when the server was started that this process belongs to, Unix time in seconds.

    For a worker that is when its master was: all workers then agree, also one that takes the place of another. A
    master is a parent that runs the same command (gunicorn, uWSGI), or that started this process by
    ``multiprocessing`` (uvicorn, hypercorn, granian).
    """
    import psutil  # here, as only servers need it, and it takes its time

    process = psutil.Process()
    try:
        started = process.create_time()
        parent = process.parent()
        if parent is not None and (multiprocessing.parent_process() is not None or _same_command(process, parent)):
            started = parent.create_time()
    except psutil.Error:  # the parent is somebody else's, or gone
        pass
    return started


def _same_command(process: psutil.Process, parent: psutil.Process) -> bool:
    """Tell whether both run the same command; a title that a server gives its processes begins with its own name."""
    own, others = process.cmdline(), parent.cmdline()
    if not own or not others:
        return False
    return own == others or (own[0].partition(":")[0] == others[0].partition(":")[0] and ":" in own[0])
