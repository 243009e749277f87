"""Files that processes use while a test does something to them."""

from __future__ import annotations

import contextlib
import pathlib

MOST_ATTEMPTS = 1000


def replace_by_folder(file: pathlib.Path) -> None:
    """Put a folder into the place of a file, which a process may build anew meanwhile."""
    for _ in range(MOST_ATTEMPTS):
        file.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            file.mkdir()
            return
    raise AssertionError(f"{file} comes back each time.")
