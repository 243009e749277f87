"""What a process needs to judge anything: file descriptors, memory and threads."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator

from health_check.exceptions import ServiceWarning

DESCRIPTORS = "file descriptors left"
MEMORY = "memory left"
THREADS = "threads left"

LEAST_DESCRIPTORS = 4
"""How many descriptors have to be free for a failure to be something else's: a client needs more than one."""

MOST_CAUSES = 20
"""How many exceptions behind each other are looked at."""

NUMBERS = {errno.EMFILE: DESCRIPTORS, errno.ENFILE: DESCRIPTORS, errno.ENOMEM: MEMORY}


def lacking(errors: Iterable[object]) -> str:
    """Return what this process has run out of, given all that is wrong with a check; empty if nothing.

    Many clients hide the system's error behind their own, SQLite and libpq say: then descriptors are tried.
    """
    failures = [error for error in errors if not isinstance(error, ServiceWarning)]
    for error in failures:
        for cause in _chain(error):
            if found := _lacking(cause):
                return found
    return DESCRIPTORS if failures and not _has_descriptors() else ""


def _chain(error: object) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    waiting = [error]
    while waiting and len(seen) < MOST_CAUSES:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and not any(cause is each for each in seen):
            seen.append(cause)
            yield cause
            waiting += [cause.__context__, cause.__cause__]


def _lacking(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, OSError):
        return NUMBERS.get(error.errno or 0, "")
    return THREADS if isinstance(error, RuntimeError) and "can't start new thread" in str(error) else ""


def _has_descriptors() -> bool:
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(LEAST_DESCRIPTORS):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno not in NUMBERS
    return True
