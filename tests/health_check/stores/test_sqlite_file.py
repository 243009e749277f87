"""The default file and its folder: hostile ones are refused, processes share one, what nobody uses is deleted."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from health_check.stores import StoreError
from health_check.stores.base import UNUSED_SECONDS
from health_check.stores.site import site
from health_check.stores.site_folder import changed_since_last_start
from health_check.stores.sqlite import SQLiteStore
from tests.health_check.stores.conftest import needs_root
from tests.support.peer import Peer, peer
from tests.support.places import Place, look, run

PROCESSES = 3

FOLDER = f"django-health-check-{os.geteuid()}"


@pytest.fixture(autouse=True)
def temp(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder for temporary files of this test, and of the processes that it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    """The store of somebody who configured nothing."""
    with contextlib.closing(SQLiteStore()) as made:
        yield made


def use(store: SQLiteStore) -> None:
    """Have a check run."""
    run(store, Place(create_store=lambda clock: store).run())


def link(file: pathlib.Path) -> None:
    file.with_name("target").touch()
    file.symlink_to(file.with_name("target"))


def link_to_nothing(file: pathlib.Path) -> None:
    file.symlink_to(file.with_name("target"))


def hard_link(file: pathlib.Path) -> None:
    file.with_name("target").touch(mode=0o600)
    file.hardlink_to(file.with_name("target"))


def of_another_user(file: pathlib.Path) -> None:
    file.touch(mode=0o600)
    os.chown(file, 12345, -1)


def pipe(file: pathlib.Path) -> None:
    os.mkfifo(file)


def folder_of_mode(mode: int) -> Callable[[pathlib.Path], None]:
    """Return what gives the folder a mode."""
    return lambda file: file.parent.chmod(mode)


def folder_of_another_user(file: pathlib.Path) -> None:
    os.chown(file.parent, 12345, -1)


def folder_that_is_a_link(file: pathlib.Path) -> None:
    file.parent.rename(file.parent.with_name("target"))
    file.parent.symlink_to(file.parent.with_name("target"))


def folder_that_is_a_file(file: pathlib.Path) -> None:
    file.parent.rmdir()
    file.parent.touch(mode=0o700)


NO_LINK = "is not a regular file, but a link or a device: remove it"
NO_FOLDER = "is not a folder, but a link or a file: remove it, or give HEALTH_CHECK"
HOSTILE = [
    (link, NO_LINK),
    (link_to_nothing, NO_LINK),
    (pathlib.Path.mkdir, "is a folder: name a file in it, or remove it"),
    (pipe, NO_LINK),
    (hard_link, "hard links"),
    pytest.param(of_another_user, "belongs to user 12345: remove it", marks=needs_root),
    *((folder_of_mode(mode), "is accessible to other users: chmod 700 it") for mode in (0o755, 0o770, 0o701, 0o777)),
    pytest.param(folder_of_another_user, "belongs to user 12345", marks=needs_root),
    (folder_that_is_a_link, NO_FOLDER),
    (folder_that_is_a_file, NO_FOLDER),
]


@pytest.mark.parametrize(("prepare", "text"), HOSTILE)
def test_hostile_place__is_not_used(
    store: SQLiteStore, temp: pathlib.Path, prepare: Callable[[pathlib.Path], None], text: str
) -> None:
    """What somebody else may have to do with is not used, nor changed; the error says what to do, and then it works."""
    folder = store.path.parent
    folder.mkdir(mode=0o700)
    prepare(store.path)
    before = snapshot(temp)
    with pytest.raises(StoreError, match=text):
        store.probe()
    assert text in store.trouble()
    assert snapshot(temp) == before
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    store.probe()
    assert store.trouble() == ""


def snapshot(place: pathlib.Path) -> dict[pathlib.Path, tuple[int, ...]]:
    """Return what is in a folder, and how that is: kind and mode, number, links, owner and group, size and change."""
    found = {path: path.lstat() for path in place.rglob("*")}
    return {path: (*status[:7], status.st_mtime_ns) for path, status in found.items()}


def test_default_file__is_the_user_s_and_the_site_s(store: SQLiteStore, temp: pathlib.Path) -> None:
    """The folder is named by the user, the file by the site; the first use makes both, for this user alone."""
    assert (store.path.parent, store.path.name) == (temp / FOLDER, f"{site()}.v7.sqlite3")
    assert store.trouble() == ""
    assert list(temp.iterdir()) == [], "nothing is made by asking"
    before = os.umask(0)
    try:
        use(store)
    finally:
        os.umask(before)
    assert store.trouble() == ""
    assert [found.name for found in temp.iterdir()] == [FOLDER]
    assert [stat.S_IMODE(found.stat().st_mode) for found in (store.path.parent, store.path)] == [0o700, 0o600]


def test_folder__cannot_be_made_or_was_removed(
    store: SQLiteStore, temp: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no folder can be made the error says why; a cleaner of temporary files may take one that is in use."""
    use(store)
    shutil.rmtree(store.path.parent)
    assert look(store).record is None
    monkeypatch.setattr(tempfile, "tempdir", str(temp / "missing"))
    with pytest.raises(StoreError, match=f"{FOLDER} cannot be made: No such file"):
        SQLiteStore().probe()


def test_default_file__is_shared_by_several_processes(temp: pathlib.Path) -> None:
    """Processes that start at once make one folder and one file; nothing else stays behind but a note of the site."""
    with contextlib.ExitStack() as stack:
        builders: list[Peer] = [stack.enter_context(peer(None)) for _ in range(PROCESSES)]
        for name in ("pid", "probe"):
            for builder in builders:
                builder.send(name)
            for builder in builders:
                builder.receive()
        (found,) = (file for file in (temp / FOLDER).iterdir() if file.suffix != ".site")
        assert sum(builder.call("acquire") is not None for builder in builders) == 1
        assert {str(builder.call("path")) for builder in builders} == {str(found)}


def test_new_file__cannot_be_built(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where building fails nothing is left behind; a journal that was there is not taken for the new file's."""

    def fail(path: pathlib.Path) -> None:
        path.with_name(f"{path.name}-journal").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("health_check.stores.sqlite_file._build", fail)
        with pytest.raises(StoreError, match="No space left"):
            store.probe()
    assert list(store.path.parent.iterdir()) == []
    journal = store.path.with_name(f"{store.path.name}-journal")
    journal.write_text("of the file before")
    store.probe()
    assert not journal.exists() or b"before" not in journal.read_bytes()


def test_folder__files_that_nobody_uses_are_deleted(store: SQLiteStore) -> None:
    """Files of ours without a write for a week go when a file is opened, with all that belongs to them; others stay."""
    folder, (old, used) = store.path.parent, ("a" * 32, "b" * 32)
    folder.mkdir(mode=0o700)
    kept = {f"{used}.v5.sqlite3", "notes.txt", "a.sqlite3"}
    for name in (*kept, *(f"{old}.{end}" for end in ("v4.sqlite3", "v4.sqlite3-journal", "v4.sqlite3-forced", "site"))):
        (folder / name).touch()
        if not name.startswith(used):
            os.utime(folder / name, (time.time() - UNUSED_SECONDS - 60,) * 2)
    store.probe()
    own = {found.name for found in folder.iterdir()} - kept
    assert len(own) < 4
    assert not any(name.startswith(old) for name in own)
    assert {found.name for found in folder.iterdir()} >= kept


def test_folder__says_what_has_changed_since_the_last_start(store: SQLiteStore, settings: Settings) -> None:
    """The next start knows what makes another site of it; a store on a path of the operator's notes nothing."""
    folder = store.path.parent
    assert changed_since_last_start(folder) == []
    for location in ("redis://a:1", "redis://b:1"):
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}
        settings.CACHES = {"default": cache}
        changed = changed_since_last_start(folder)
        with contextlib.closing(SQLiteStore()) as started:
            started.probe()
        assert changed_since_last_start(folder) == []
    assert changed == ["cache default django.core.cache.backends.redis.RedisCache redis://b:1"]
    assert len(list(folder.glob("*.site"))) == 1
    with contextlib.closing(SQLiteStore(path=folder.with_name("own.sqlite3"))) as own:
        own.probe()
    assert list(folder.parent.glob("*.site")) == []
