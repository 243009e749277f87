"""How long ago the server of this process was started: what was measured before may have been true then only."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pathlib
import sys
import time
import types
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from health_check.stores.site import base_folder, settings_module

if TYPE_CHECKING:
    import psutil


def server_age() -> float:
    """Return for how many seconds the server has been running that this process belongs to.

    A worker that was forked after the site was loaded (``gunicorn --preload``, uWSGI) goes by when it was loaded. One
    that has loaded the site itself goes by its master, and, where the code has been changed since the master was
    started, by the first worker that has loaded that: so ``kill -HUP`` with new code is a start, and a worker that
    takes the place of another is none. All workers agree.
    """
    process_id, loaded_at = _LOADED
    start = _start_of_master() if process_id == os.getpid() else loaded_at
    return max(0.0, _now() - start)


def _now() -> float:
    """Return the seconds since the machine was started, where possible: nobody sets that clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()


_LOADED = os.getpid(), _now()
"""Which process loaded the site, and when: Django's ``setup`` imports this module."""


def _start_of_master() -> float:
    """Return when the server was started by whose worker the site was loaded, or this process, if it is a server."""
    import psutil  # here, as only servers need it, and it takes its time

    process = psutil.Process()
    start = _now()
    try:
        start = _start_of(process)
        parent = process.parent()
        if parent is not None and (multiprocessing.parent_process() is not None or _same_command(process, parent)):
            start, change = _start_of(parent), _last_change()
            if change > start:
                start = min((own for own in _starts_of(parent.children()) if own >= change), default=change)
    except psutil.Error:  # the parent is somebody else's, or gone
        pass
    return start


def _start_of(process: psutil.Process) -> float:
    import psutil

    booted = psutil.boot_time() if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    return process.create_time() - booted


def _starts_of(processes: Iterable[psutil.Process]) -> Iterator[float]:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has just ended
            yield _start_of(process)


def _same_command(process: psutil.Process, parent: psutil.Process) -> bool:
    """Return whether both run the same command; a title that a server gives its processes begins with its own name."""
    own, others = process.cmdline(), parent.cmdline()
    if not own or not others:
        return False
    return own == others or (own[0].partition(":")[0] == others[0].partition(":")[0] and ":" in own[0])


def _last_change() -> float:
    """Return when what this process has loaded was changed last, before it was loaded.

    By the time at which the file got here: deploys that copy files keep the time of their contents.
    """
    behind = time.time() - _now()
    changes = [-math.inf]
    for file in _files():
        with contextlib.suppress(OSError, ValueError):
            changes.append(pathlib.Path(file).stat().st_ctime - behind)
    return max(change for change in changes if change <= _LOADED[1])


def _files() -> Iterator[str | pathlib.Path]:
    """Yield the files of all modules, and those in which settings are usually kept beside them."""
    modules: list[tuple[str, object]] = list(sys.modules.items())
    for name, module in modules:
        file = vars(module).get("__file__") if isinstance(module, types.ModuleType) else None
        if isinstance(file, str):
            yield file
            if name == settings_module():
                yield pathlib.Path(file).with_name(".env")
    yield pathlib.Path(base_folder(), ".env")
