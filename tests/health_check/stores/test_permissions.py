"""Files and folders that other users may have to do with: which are used, and with which modes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest

from health_check.stores import StoreError
from health_check.stores.sqlite import SQLiteStore
from tests.health_check.stores.conftest import needs_root
from tests.support.places import ERROR, look, result_at, run
from tests.support.repetitions import long

pytestmark = needs_root

OTHER, GROUP = 12345, 23456
PAGE = 4096


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder for a configured path."""
    found = tmp_path / "records"
    found.mkdir()
    return found


def set_mode(path: pathlib.Path, mode: int, uid: int = 0, gid: int = 0) -> None:
    os.chown(path, uid, gid)
    path.chmod(mode)


def forged(path: pathlib.Path, mode: int = 0o666, uid: int = OTHER, gid: int = OTHER) -> None:
    """Make a store's file that another user has made."""
    with contextlib.closing(SQLiteStore(path=path)) as store:
        store.probe()
    set_mode(path, mode, uid, gid)


def written_by_others(path: pathlib.Path) -> None:
    forged(path, uid=0, gid=0)


def journal(path: pathlib.Path) -> None:
    """Make a journal that SQLite would take for that of a transaction that has been broken off."""
    forged(path, 0o600, 0, 0)
    path.with_name(f"{path.name}-journal").touch()
    os.chown(path.with_name(f"{path.name}-journal"), OTHER, OTHER)


def lock(path: pathlib.Path) -> None:
    path.with_name(f"{path.name}-lock").touch()
    os.chown(path.with_name(f"{path.name}-lock"), OTHER, OTHER)


def lock_that_is_a_pipe(path: pathlib.Path) -> None:
    os.mkfifo(path.with_name(f"{path.name}-lock"))


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o2777, 0o755])
@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (forged, "belongs to user 12345: remove it"),
        (written_by_others, "can be written by other users: chmod 600 it"),
        (journal, "belongs to user 12345: remove it"),
        (lock, "belongs to user 12345: remove it"),
        (lock_that_is_a_pipe, "is not a regular file"),
    ],
)
def test_file_of_another_user__is_not_used(
    folder: pathlib.Path, mode: int, prepare: Callable[[pathlib.Path], None], text: str
) -> None:
    """What others made, or may write to, is not used, in whatever folder, and is left as it is."""
    path = folder / "health.sqlite3"
    prepare(path)
    set_mode(folder, mode)
    before = {found.name: found.lstat() for found in folder.iterdir()}
    store = SQLiteStore(path=path)
    with pytest.raises(StoreError, match=text):
        look(store)
    assert text in store.trouble()
    assert {found.name: found.lstat() for found in folder.iterdir()} == before


def test_file_of_another_user__put_there_later(folder: pathlib.Path) -> None:
    """What takes the place of a file that is in use is looked at, too."""
    path = folder / "health.sqlite3"
    with contextlib.closing(SQLiteStore(path=path)) as store:
        store.probe()
        forged(folder / "forged")
        (folder / "forged").replace(path)
        with pytest.raises(StoreError, match="belongs to user 12345"):
            look(store)


def forgery(kind: str) -> bytes:
    """Return what SQLite would read in the place of a store's file: a log that has another one's pages."""
    with tempfile.TemporaryDirectory() as made:
        path = pathlib.Path(made) / "health.sqlite3"
        with contextlib.closing(SQLiteStore(path=path)) as store:
            run(store, result_at(time.time()))
        if kind == "-wal":
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("VACUUM")
                return path.with_name(f"{path.name}-wal").read_bytes()
        pages = [path.read_bytes()[start : start + PAGE] for start in range(0, path.stat().st_size, PAGE)]
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", len(pages), 0, len(pages), 512, PAGE)
    sums = [sum(page[place] for place in range(PAGE - 200, 0, -200)) for page in pages]
    body = [struct.pack(">I", i) + page + struct.pack(">I", sums[i - 1]) for i, page in enumerate(pages, 1)]
    return head.ljust(512, b"\0") + b"".join(body)


PLANT = """
import os, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
with open({path!r}, "wb", opener=lambda path, flags: os.open(path, flags, 0o666)) as file:
    file.write(sys.stdin.buffer.read())
"""


@pytest.mark.parametrize("was_written", [False, True])
@pytest.mark.parametrize("kind", ["-wal", "-journal", "-forced"])
def test_folder_open_to_all__nothing_is_planted(reachable: pathlib.Path, kind: str, was_written: bool) -> None:
    """While a store is used in a sticky folder, no other user can put beside it what SQLite would read."""
    set_mode(reachable, 0o1777)
    path = reachable / "health.sqlite3"
    with contextlib.closing(SQLiteStore(path=path)) as store:
        store.probe()
        if was_written:
            run(store, result_at(time.time(), ERROR))
        program = PLANT.format(uid=OTHER, path=f"{path}{kind}")
        planted = subprocess.run(
            [sys.executable, "-c", program], input=forgery("-wal" if kind == "-wal" else "-journal"), check=False
        )
        assert planted.returncode != 0
        record = look(store).record
        assert (record is not None) is was_written
        assert record is None or record.result.messages == (ERROR,)
        run(store, result_at(time.time(), ERROR), forced=True)


def test_folder_open_to_all__guards_are_taken_away(folder: pathlib.Path) -> None:
    """Where others may take files away, too, what is there instead is found before the file is used again."""
    set_mode(folder, 0o777)
    path = folder / "health.sqlite3"
    with contextlib.closing(SQLiteStore(path=path)) as store:
        run(store, result_at(time.time(), ERROR))
        guard = path.with_name(f"{path.name}-wal")
        guard.unlink()
        guard.write_bytes(forgery("-wal"))
        os.chown(guard, OTHER, OTHER)
        with pytest.raises(StoreError, match="belongs to user 12345"):
            look(store)


def test_file_that_others_may_read__is_closed_to_them(folder: pathlib.Path) -> None:
    """A reader of the file could hold a lock on it for ever: it is for this user alone, however it was restored."""
    path = folder / "health.sqlite3"
    forged(path, 0o644, 0, 0)
    with contextlib.closing(SQLiteStore(path=path)) as store:
        store.probe()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_on_the_way__of_another_user(folder: pathlib.Path) -> None:
    """A folder on the way to the file that somebody else has made a link is not entered; the operator's own is."""
    set_mode(folder, 0o1777)
    target = folder.with_name("target")
    target.mkdir()
    link = folder / "link"
    link.symlink_to(target)
    with contextlib.closing(SQLiteStore(path=link / "health.sqlite3")) as store:
        store.probe()
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    store = SQLiteStore(path=link / "health.sqlite3")
    with pytest.raises(StoreError, match="link is a link of user 12345: remove it, or correct the path"):
        store.probe()


@pytest.mark.parametrize("owner", [0, OTHER])
def test_folder_of_one_user__root_leaves_files_to_its_owner(folder: pathlib.Path, owner: int) -> None:
    """A command that root runs makes a file that the site's user goes on with."""
    set_mode(folder, 0o755, owner, owner)
    with contextlib.closing(SQLiteStore(path=folder / "health.sqlite3")) as store:
        store.probe()
    assert {(found.stat().st_uid, stat.S_IMODE(found.stat().st_mode)) for found in folder.iterdir()} == {(owner, 0o600)}
    with contextlib.closing(SQLiteStore(path=folder / "health.sqlite3")) as store:
        store.probe()


AS_USER = """
import os
from django.conf import settings
settings.configure()
from health_check.stores.sqlite import SQLiteStore  # before the change of user: only root may read where Python is
os.umask(0o077)
os.setgroups([{group}]); os.setgid({gid}); os.setuid({uid})
store = SQLiteStore(path={path!r})
store.drain(True)
store.probe()
print(store.draining)
"""


def use_as(path: pathlib.Path, uid: int, group: int = GROUP) -> str:
    """Write to a store as a user of a group, and return what that prints, or the last line of its error."""
    program = AS_USER.format(path=str(path), uid=uid, gid=uid, group=group)
    paths = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[-1]


@pytest.fixture
def reachable() -> Iterator[pathlib.Path]:
    """A folder that other users get to, as they do not get to those that pytest makes."""
    with tempfile.TemporaryDirectory() as made:
        pathlib.Path(made).chmod(0o755)
        folder = pathlib.Path(made) / "records"
        folder.mkdir()
        yield folder


def test_folder_of_a_group__is_shared(reachable: pathlib.Path) -> None:
    """Two users of a group share a file where the folder has the mode 2770, as of two containers of a pod."""
    set_mode(reachable, 0o2770, 0, GROUP)
    path = reachable / "health.sqlite3"
    assert [use_as(path, uid) for uid in (OTHER, OTHER + 1)] == ["True"] * 2
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (OTHER, GROUP, 0o660)


@pytest.mark.parametrize("mode", [long(0o777), 0o1777, long(0o2777)])
def test_folder_open_to_all__is_not_shared(reachable: pathlib.Path, mode: int) -> None:
    """Where anybody may write, the group of a file says nothing: each file is its user's, and others are told."""
    set_mode(reachable, mode, 0, GROUP)
    path = reachable / "health.sqlite3"
    assert use_as(path, OTHER) == "True"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"belongs to user {OTHER}: remove it" in use_as(path, OTHER + 1)


def test_lock__cannot_be_held_by_a_reader(reachable: pathlib.Path) -> None:
    """Somebody who may read the folder, and locks it for ever, keeps nobody from the records."""
    set_mode(reachable, 0o755, OTHER, OTHER)
    path = reachable / "health.sqlite3"
    hold = ["flock", str(reachable), "sh", "-c", "echo held; exec sleep 60"]
    reader = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *hold]
    with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            assert use_as(path, OTHER) == "True"
            opened = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "cat", f"{path}-lock"]
            assert subprocess.run(opened, capture_output=True, check=False).returncode != 0
        finally:
            process.kill()
