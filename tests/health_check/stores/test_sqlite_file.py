"""The file in the default folder: hostile ones are refused, several processes end up on one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Iterator

import pytest

from health_check.stores import StoreError, sqlite_file
from health_check.stores.sqlite import SQLiteStore
from health_check.stores.sqlite_file import OlderVersionError, SharedFile
from tests.health_check.stores.test_sqlite_file_folder import needs_root
from tests.support.peer import Peer, peer
from tests.support.places import Place, look, run

PROCESSES = 4


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


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (link, "is not a regular file, but a link or a device: remove it"),
        (link_to_nothing, "is not a regular file, but a link or a device: remove it"),
        (pathlib.Path.mkdir, "is a folder: name a file in it, or remove it"),
        (pipe, "is not a regular file"),
        (hard_link, "hard links"),
        pytest.param(of_another_user, "belongs to user 12345: remove it", marks=needs_root),
    ],
)
def test_ensure__hostile_file(store: SQLiteStore, prepare: Callable[[pathlib.Path], None], text: str) -> None:
    """A file that somebody else may have to do with is not used, nor changed; without it the store works."""
    sqlite_file.default_folder().mkdir(mode=0o700)
    prepare(store.path)
    before = snapshot(store.path.parent)
    with pytest.raises(StoreError, match=text):
        store.probe()
    assert text in store.trouble()
    assert snapshot(store.path.parent) == before
    if store.path.is_dir():
        store.path.rmdir()
    else:
        store.path.unlink()
    store.probe()
    assert store.trouble() == ""


@pytest.mark.parametrize(
    ("mode", "owner", "text"),
    [(0o777, None, "chmod 700 it"), pytest.param(0o700, 12345, "belongs to user 12345", marks=needs_root)],
)
def test_ensure__hostile_folder(store: SQLiteStore, mode: int, owner: int | None, text: str) -> None:
    """In a folder that is not the user's alone nothing is made, and the error says what to do."""
    place = sqlite_file.default_folder()
    place.mkdir()
    place.chmod(mode)
    if owner is not None:
        os.chown(place, owner, -1)
    with pytest.raises(StoreError, match=text):
        store.probe()
    assert text in store.trouble()
    assert list(place.iterdir()) == []


def test_ensure__makes_folder_and_file(store: SQLiteStore, temp: pathlib.Path) -> None:
    """The first use makes both, for this user alone; there is no trouble before nor after."""
    assert store.trouble() == ""
    run(store, Place(create_store=lambda clock: store).run())
    assert store.trouble() == ""
    assert [found.name for found in temp.iterdir()] == [sqlite_file.default_folder().name]
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_ensure__folder_was_removed(store: SQLiteStore) -> None:
    """A cleaner of temporary files may take the folder, too."""
    run(store, Place(create_store=lambda clock: store).run())
    for found in store.path.parent.iterdir():
        found.unlink()
    store.path.parent.rmdir()
    assert look(store).record is None


def test_ensure__several_processes_share_the_default_file(temp: pathlib.Path) -> None:
    """Processes that start at once make one folder and one file; nothing else stays behind but a note of the site."""
    with contextlib.ExitStack() as stack:
        builders: list[Peer] = [stack.enter_context(peer(None)) for _ in range(PROCESSES)]
        for builder in builders:
            builder.call("pid")
        for builder in builders:
            builder.send("probe")
        for builder in builders:
            builder.receive()
        (found,) = set(sqlite_file.default_folder().iterdir()) - set(sqlite_file.default_folder().glob("*.site"))
        assert sum(builder.call("acquire") is not None for builder in builders) == 1
        (path,) = {str(builder.call("path")) for builder in builders}
        assert pathlib.Path(path) == found


class Files:
    """Shared files that consist of a word; ``other`` is the one of another version."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.built = 0

    def open(self) -> SharedFile:
        """Return one more process's view of it."""
        return SharedFile(self.path, build=self._build, refuse=_refusal)

    def _build(self, path: pathlib.Path) -> None:
        self.built += 1
        path.write_text("good")


def _refusal(path: pathlib.Path) -> str:
    if path.read_text() == "other":
        raise OlderVersionError("it is of another version")
    return "" if path.read_text() == "good" else "it is bad"


def ensure(file: SharedFile) -> None:
    with file.locked():
        file.ensure()


def test_shared_file__is_built_once(temp: pathlib.Path) -> None:
    """Who comes second finds what the first one made."""
    files = Files(temp / "file")
    first, second = files.open(), files.open()
    ensure(first)
    ensure(second)
    ensure(first)
    assert files.built == 1
    assert not first.was_replaced()
    assert not second.was_replaced()


def test_shared_file__bad_one_is_set_aside(temp: pathlib.Path) -> None:
    """What is no good is kept beside the new one, and all see that it is another file."""
    files = Files(temp / "file")
    first, second = files.open(), files.open()
    ensure(first)
    ensure(second)
    files.path.write_text("bad")
    ensure(first)
    assert files.path.read_text() == "good"
    assert files.path.with_name("file.set-aside").read_text() == "bad"
    assert not first.was_replaced()
    assert second.was_replaced()


def test_shared_file__set_aside_once(temp: pathlib.Path) -> None:
    """Of two that find the same file bad, the second does not put away what the first one built."""
    files = Files(temp / "file")
    first, second = files.open(), files.open()
    ensure(first)
    ensure(second)
    files.path.write_text("bad")
    first.set_aside("it is bad")
    ensure(first)
    second.set_aside("it is bad")
    assert files.path.read_text() == "good"
    ensure(second)
    assert files.built == 2
    assert sorted(found.name for found in temp.iterdir()) == ["file", "file.set-aside"]


def test_shared_file__other_version(temp: pathlib.Path) -> None:
    """Who never had a file takes one of another version away; who had one does not, or they would fight for ever."""
    files = Files(temp / "file")
    worker = files.open()
    ensure(worker)
    files.path.write_text("other")
    with pytest.raises(OlderVersionError):
        ensure(worker)
    assert files.path.read_text() == "other"
    ensure(files.open())
    assert files.path.read_text() == "good"
    ensure(worker)


def test_shared_file__build_fails(temp: pathlib.Path) -> None:
    """Where building fails nothing is left behind."""

    def fail(path: pathlib.Path) -> None:
        path.with_name(f"{path.name}-journal").touch()
        raise OSError(28, "No space left on device")

    file = SharedFile(temp / "file", build=fail, refuse=_refusal)
    with pytest.raises(OSError, match="No space left"):
        ensure(file)
    assert list(temp.iterdir()) == []


def test_shared_file__companions_of_the_file_before(temp: pathlib.Path) -> None:
    """A journal that was left beside a file is not taken for the new one's."""
    files = Files(temp / "file")
    files.path.with_name("file-journal").write_text("of the file before")
    ensure(files.open())
    assert not files.path.with_name("file-journal").exists()


def snapshot(place: pathlib.Path) -> dict[str, os.stat_result]:
    """Return what a folder holds, and how that is."""
    return {found.name: found.lstat() for found in place.iterdir()}
