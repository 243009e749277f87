"""The folder of the default files: what the site was at its last start, and what nobody uses any more."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import secrets

from health_check.stores.base import UNUSED_SECONDS
from health_check.stores.site import base_folder, digest, facts, settings_module

OURS = re.compile(r"[0-9a-f]{32}\.(site|v\d+\.sqlite3.*)")
"""The names of the files in the folder."""


def note_start(folder: pathlib.Path) -> None:
    """Note what makes this site, so that the next start can say what has changed since; a failure is no matter.

    Args:
        folder: The folder, which belongs to this user alone.
    """
    note, text = _note(folder), "\n".join(facts())
    with contextlib.suppress(OSError):
        if _read(note) != text:
            new = note.with_name(f"{digest(secrets.token_hex(8))}.site")
            with open(new, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as output:
                output.write(text)
            new.replace(note)
        else:
            note.touch()  # it is in use


def changed_since_last_start(folder: pathlib.Path) -> list[str]:
    """Return what makes another site of this one than it was at its last start, a line each; empty if nothing does."""
    with contextlib.suppress(OSError):
        if (before := _read(_note(folder))) is not None:
            return sorted(set(facts()) - set(before.splitlines()))
    return []


def sweep(folder: pathlib.Path, now: float) -> None:
    """Delete the files of sites that have written nothing for a week.

    Args:
        folder: The folder, which belongs to this user alone.
        now: Unix time in seconds.
    """
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            with contextlib.suppress(OSError):
                if OURS.fullmatch(file.name) and file.lstat().st_mtime < now - UNUSED_SECONDS:
                    file.unlink()


def _note(folder: pathlib.Path) -> pathlib.Path:
    """Return the file of the note: one for each settings module and folder of the site."""
    return folder / f"{digest(f'{settings_module()} {base_folder()}')}.site"


def _read(note: pathlib.Path) -> str | None:
    return note.read_text("utf-8", "replace") if note.is_file() else None
