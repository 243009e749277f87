"""Files that processes use while a test does something to them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random

MOST_ATTEMPTS = 1000


def replace_by_folder(file: pathlib.Path) -> None:
    """Put a folder into the place of a file, which a process may build anew meanwhile."""
    for _ in range(MOST_ATTEMPTS):
        file.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            file.mkdir()
            return
    raise AssertionError(f"{file} comes back each time.")


def emptied(file: pathlib.Path) -> None:
    """Take all out of a file."""
    os.truncate(file, 0)


def halved(file: pathlib.Path) -> None:
    """Cut a file off in the middle."""
    os.truncate(file, file.stat().st_size // 2)


def noise(file: pathlib.Path) -> None:
    """Put random bytes in the place of what was in a file."""
    file.write_bytes(random.Random(1).randbytes(file.stat().st_size))  # noqa: S311
