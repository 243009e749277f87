"""Who holds a lease: a process, told from all others that there ever were, so that nobody waits for a dead one."""

from __future__ import annotations

import functools
import os
import pathlib

UNSEEN = "?"
"""What stands for what the system does not tell."""


@functools.cache
def boot() -> str:
    """Return what tells this boot of the machine from others."""
    return _first_line(pathlib.Path("/proc/sys/kernel/random/boot_id")) or UNSEEN


def myself() -> str:
    """Return what tells this process from others: boot, pid namespace, pid and the time it started at."""
    return _of(os.getpid())


def is_dead(holder: str) -> bool:
    """Tell whether a process is known to be no more; never true for one that cannot be seen from here."""
    try:
        its_boot, namespace, pid_text, started = holder.split(" ")
        pid = int(pid_text)
    except ValueError:
        return True
    if UNSEEN in (its_boot, boot()):
        return False
    if its_boot != boot():
        return True
    if namespace != _namespace():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass
    return _started(pid) not in (started, UNSEEN)


@functools.lru_cache(maxsize=1)
def _of(pid: int) -> str:
    return f"{boot()} {_namespace()} {pid} {_started(pid)}"


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it names no path
    except OSError:
        return UNSEEN


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; or that it is dead, or cannot be seen."""
    fields = _first_line(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(fields) < 20:
        return UNSEEN
    return "dead" if fields[0] in "ZX" else fields[19]


def _first_line(file: pathlib.Path) -> str:
    try:
        return file.read_text().partition("\n")[0].strip()
    except (OSError, ValueError):
        return ""
