"""The file of a host: what a use of it costs, how time is told, what is kept, and who may read it."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import stat
from collections.abc import Iterator

import pytest

from health_check.records import Message
from health_check.stores import Key, Query, Store, StoreError
from health_check.stores.base import UNUSED_SECONDS
from health_check.stores.sqlite import SQLiteStore
from health_check.stores.sqlite_past import MOST_VARIABLES
from tests.support.places import (
    BACKEND,
    ERROR,
    MAX_AGE,
    OTHER,
    Place,
    SteppingClock,
    ask,
    counted,
    lease_of,
    look,
    publish,
    record_of,
    run,
)


@pytest.mark.parametrize("messages", [(), (ERROR,)], ids=["ok", "error"])
def test_refresh__eight_statements(sqlite_place: Place, messages: tuple[Message, ...]) -> None:
    """A check that has expired costs two statements and a transaction of six, whatever it finds."""
    first, second = sqlite_place.open(), sqlite_place.open()
    run(first, sqlite_place.run())
    second.probe()
    for store in (first, second):
        sqlite_place.clock.forward(MAX_AGE + 1)
        with statements(store) as seen:
            entry = ask(store)
            assert entry.lease is not None
            assert publish(store, sqlite_place.run(*messages), lease=entry.lease, after=entry.record)
        verbs = ["SELECT", "INSERT", "BEGIN", "UPDATE", "SELECT", "INSERT", "INSERT", "COMMIT"]
        assert [statement.split()[0] for statement in seen] == verbs
    assert counted(record_of(first)) == 3


def test_look__one_statement(sqlite_place: Place) -> None:
    """However many checks are read that are fresh, or run elsewhere, that is one statement, and nothing is written."""
    store, keys = sqlite_place.open(), [Key(label=f"check {number}") for number in range(20)]
    for key in keys:
        run(store, sqlite_place.run(), key=key)
    lease_of(store, OTHER)
    with statements(store) as seen:
        entries = store.look([Query(key=key, backend=BACKEND, lease_seconds=30.0) for key in [*keys, OTHER]])
    assert not any(entry.lease for entry in entries)
    assert [statement.split()[0] for statement in seen] == ["SELECT"]


def test_look__of_many_checks(sqlite_place: Place) -> None:
    """However many checks are asked for at once, each has its answer."""
    store = sqlite_place.open()
    queries = [Query(key=Key(label=f"check {n}"), lease_seconds=30.0) for n in range(2 * MOST_VARIABLES + 1)]
    assert len({entry.lease.token for entry in store.look(queries) if entry.lease}) == len(queries)
    assert all(entry.held_since for entry in store.look(queries))


@pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["back", "forward"])
def test_lease__the_clock_is_set(sqlite_place: Place, step: float) -> None:
    """A lease does not outlast a step of the clock: who has it now publishes, and not who had it before."""
    clock = SteppingClock()
    first, second = sqlite_place.open(clock), sqlite_place.open()
    clock.step = -step
    record = run(first, sqlite_place.run())
    before = lease_of(first, force=True)
    clock.step = 0.0
    assert look(second).held_since is None
    lease = lease_of(second, force=True)
    assert not publish(first, sqlite_place.run(), lease=before, after=record)
    assert publish(second, sqlite_place.run(), lease=lease, after=record)
    assert (record_of(first).seq, look(first).held_since) == (2, None)


def test_publish__a_result_that_took_its_time(sqlite_place: Place) -> None:
    """A record is fresh from the end of its run on, not from its publication."""
    store = sqlite_place.open()
    result = sqlite_place.run()
    sqlite_place.clock.forward(4)
    run(store, result)
    assert look(store).fresh_for == pytest.approx(MAX_AGE - 4, abs=1)


def test_verify__needs_room_and_leaves_nothing(sqlite_place: Place, file: pathlib.Path) -> None:
    """A file without room for what comes next is not usable again; one with room is as it was."""
    with contextlib.closing(SQLiteStore(path=file)) as store:
        run(store, sqlite_place.run())
        store.verify()
        assert store._connection is not None
        store._connection.execute("VACUUM")
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full"):
            store.verify()
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM latest WHERE name = ''").fetchone() == (0,)


def test_opened__what_nobody_runs_is_dropped(sqlite_place: Place) -> None:
    """A check that has not run for a week is forgotten; asking this process to forget it does nothing to others."""
    store = sqlite_place.open()
    run(store, sqlite_place.run(), key=OTHER)
    store.forget([OTHER])
    sqlite_place.clock.forward(UNUSED_SECONDS - 60)
    assert look(sqlite_place.open(), OTHER).record is not None
    run(store, sqlite_place.run())
    sqlite_place.clock.forward(120)
    later = sqlite_place.open()
    assert look(later, OTHER).record is None
    assert look(later).record is not None


def test_file__only_its_user_can_read_it(sqlite_place: Place, file: pathlib.Path) -> None:
    """What the records say is nobody else's business, whatever the umask, also while it is written."""
    store = sqlite_place.open()
    run(store, sqlite_place.run())
    found = sorted(file.parent.iterdir())
    assert file in found
    assert [stat.S_IMODE(one.stat().st_mode) for one in found] == [0o600] * len(found)
    assert str(file) in store.describe()


def test_path__a_link_is_not_followed(file: pathlib.Path) -> None:
    """A link may be somebody else's, to one of this user's files: it is not used, nor is what it leads to touched."""
    link = file.with_name("link")
    link.symlink_to(file)
    file.write_bytes(b"precious")
    store = SQLiteStore(path=str(link))
    with pytest.raises(StoreError, match="link is not a regular file, but a link"):
        store.probe()
    assert "but a link" in store.trouble()
    assert sorted(found.name for found in file.parent.iterdir()) == ["link", file.name]
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("content", [b"precious", b"SQLite format 3\0 but no more", bytes(4096), None])
@pytest.mark.parametrize("was_used", [True, False], ids=["in place of ours", "from the beginning"])
def test_path__somebody_s_file(file: pathlib.Path, content: bytes | None, was_used: bool) -> None:
    """What nothing says that we made, such as the site's own database, is neither renamed nor changed."""
    other = file.with_name("other")
    if content is None:
        with contextlib.closing(sqlite3.connect(other)) as database:
            database.execute("CREATE TABLE users (name TEXT)")
    else:
        other.write_bytes(content)
    other.chmod(0o644)
    before = other.read_bytes()
    with contextlib.closing(SQLiteStore(path=file)) as store:
        if was_used:
            store.probe()
            store.close()
        other.replace(file)
        with pytest.raises(StoreError, match=r"of something else|is not a store of health checks") as caught:
            store.probe()
    assert str(caught.value).endswith(": give the store a path of its own")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (before, 0o644)
    assert [found.name for found in file.parent.iterdir()] == [file.name]


def test_path__an_empty_file(file: pathlib.Path) -> None:
    """A file without content, as made by ``mktemp``, is used."""
    file.touch(mode=0o600)
    with contextlib.closing(SQLiteStore(path=file)) as store:
        run(store, Place(create_store=lambda clock: store).run())
    assert "set-aside" not in str(list(file.parent.iterdir()))


def test_path__its_folder_is_missing(file: pathlib.Path) -> None:
    """A given folder is not made: the error names it and the remedy."""
    store = SQLiteStore(path=file.parent / "missing" / "store.sqlite3")
    assert "missing does not exist: create it" in store.trouble()
    with pytest.raises(StoreError, match="missing"):
        store.probe()
    assert not (file.parent / "missing").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"path": ""}, "path is '', use the name of a file"),
        ({"path": 3}, "path is 3, use the name of a file"),
        ({"path": "/"}, "path is '/', use the name of a file"),
        ({"path": "a\0b"}, r"path is 'a\\x00b', use the name of a file"),
        ({"path": "\ud800"}, r"path is '\\ud800', use the name of a file"),
        ({"paht": "x"}, "paht"),
    ],
)
def test_options__of_no_use(options: dict[str, object], text: str) -> None:
    """An option that cannot work is refused, with the remedy."""
    with pytest.raises(TypeError, match=text):
        SQLiteStore(**options)  # type: ignore[arg-type]


@contextlib.contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Return the statements that a store gives its database meanwhile."""
    assert isinstance(store, SQLiteStore)
    assert store._connection is not None
    seen: list[str] = []
    store._connection.set_trace_callback(seen.append)
    try:
        yield seen
    finally:
        store._connection.set_trace_callback(None)
