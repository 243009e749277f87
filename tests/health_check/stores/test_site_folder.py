"""The folder of the default files: files that nobody uses are deleted, and what the site was is remembered."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import time

import pytest
from pytest_django import Settings

from health_check.stores.base import UNUSED_SECONDS
from health_check.stores.site_folder import changed_since_last_start, note_start, sweep
from health_check.stores.sqlite import SQLiteStore

LONG_AGO = UNUSED_SECONDS + 60


def test_sweep__deletes_what_nobody_uses(tmp_path: pathlib.Path) -> None:
    """Files of ours without a write for a week go, with all that belongs to them; others stay."""
    site, used = "a" * 32, "b" * 32
    old = [f"{site}.v4.sqlite3", f"{site}.v4.sqlite3-journal", f"{site}.v4.sqlite3-forced", f"{site}.site"]
    kept = [f"{used}.v5.sqlite3", "notes.txt", "a.sqlite3"]
    for name in [*old, *kept]:
        (tmp_path / name).touch()
        if name != kept[0]:
            os.utime(tmp_path / name, (time.time() - LONG_AGO,) * 2)
    sweep(tmp_path, time.time())
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(kept)
    sweep(tmp_path / "missing", time.time())


def test_note__says_what_has_changed(tmp_path: pathlib.Path, settings: Settings) -> None:
    """The next start knows which facts make another site of it; without a note nothing has changed."""
    assert changed_since_last_start(tmp_path) == []
    note_start(tmp_path)
    assert changed_since_last_start(tmp_path) == []
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://b:1"}}
    (changed,) = changed_since_last_start(tmp_path)
    assert changed == "cache default django.core.cache.backends.redis.RedisCache redis://b:1"
    note_start(tmp_path)
    assert changed_since_last_start(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_note__cannot_be_written(tmp_path: pathlib.Path) -> None:
    """Where nothing can be noted the site works all the same."""
    note_start(tmp_path / "missing")
    assert changed_since_last_start(tmp_path / "missing") == []


def test_store__notes_and_sweeps(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store on the default file does both when it opens that; one on a path of the operator's does neither."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with contextlib.closing(SQLiteStore()) as store:
        store.probe()
        folder = store.path.parent
        left = folder / f"{'c' * 32}.v4.sqlite3"
        left.touch()
        os.utime(left, (time.time() - LONG_AGO,) * 2)
        store.close()
        store.probe()
        assert not left.exists()
        assert len(list(folder.glob("*.site"))) == 1
    with contextlib.closing(SQLiteStore(path=tmp_path / "own.sqlite3")) as store:
        store.probe()
    assert list(tmp_path.glob("*.site")) == []
