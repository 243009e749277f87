"""A file that is gone, broken, not ours, locked, read-only or on a full disk."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable

import pytest

from health_check.past import DAY, DAYS, HALF_HOUR, HALF_HOURS, Past, gapless, incidents_of
from health_check.stores import StoreError
from health_check.stores.sqlite import SQLiteStore
from health_check.stores.sqlite_file import VERSION
from tests.support.client import Lag
from tests.support.files import emptied, halved, noise
from tests.support.peer import peer
from tests.support.places import ERROR, KEY, Place, counted, lease_of, look, publish, record_of, run
from tests.support.repetitions import long

UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
"""Gives a command mounts of its own."""


def text(file: pathlib.Path) -> None:
    file.write_text("not a database\n" * 100)


def noise_past_the_header(file: pathlib.Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as output:
        output.seek(200)
        output.write(random.Random(2).randbytes(size - 200))  # noqa: S311


def schema_that_is_no_text(file: pathlib.Path) -> None:
    content = file.read_bytes()
    assert b"TABLE checks" in content
    file.write_bytes(content.replace(b"TABLE checks", b"\xb4" * 12))


def without_tables(file: pathlib.Path) -> None:
    execute(file, "DROP TABLE checks")


def of_version(file: pathlib.Path, version: int) -> None:
    execute(file, f"PRAGMA user_version = {version}")


def execute(file: pathlib.Path, statement: str) -> None:
    """Do something to a file behind the stores' backs."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(statement)
        database.commit()


Damage = Callable[[pathlib.Path], None]
DAMAGE = [emptied, halved, noise, text, without_tables, pathlib.Path.unlink]


@pytest.fixture
def used(sqlite_place: Place) -> SQLiteStore:
    """A store that has run a check and has its file open."""
    store = sqlite_place.open()
    assert isinstance(store, SQLiteStore)
    for _ in range(30):  # enough for several pages
        run(store, sqlite_place.run())
    return store


def asides(file: pathlib.Path) -> list[str]:
    """Return what is in the folder besides the file, but for the journals that SQLite empties and keeps."""
    return sorted(found.name for found in file.parent.iterdir() if found != file and found.suffix != ".sqlite3-journal")


def works(store: SQLiteStore, place: Place) -> None:
    """Assert that a store begins anew: a lease, and a record that another process reads, with counts from zero."""
    assert look(store).record is None
    record = run(store, place.run())
    assert record_of(place.open()) == record
    assert counted(record) == record.seq == 1


@pytest.mark.parametrize(
    ("damage", "is_open"),
    [
        *((damage, is_open) for damage in DAMAGE for is_open in (True, False)),
        (noise_past_the_header, False),  # who has it open does not see that, and goes on from what it has read
        (schema_that_is_no_text, False),
    ],
)
def test_damage__begins_anew(
    used: SQLiteStore, sqlite_place: Place, file: pathlib.Path, damage: Damage, is_open: bool
) -> None:
    """What is no store of ours is set aside once, by whoever finds it first, and the next use works."""
    other = sqlite_place.open()
    other.probe()
    for store in () if is_open else (used, other):
        store.close()
    damage(file)
    works(used, sqlite_place)
    assert look(other).record == look(used).record
    assert asides(file) == ([] if damage is pathlib.Path.unlink else [f"{file.name}.set-aside"])


def test_damage__deleted_while_it_is_written(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """What was written to a file that is gone by then is not taken for published: its lease was there, too."""

    def trace(statement: str) -> None:
        if statement.startswith("INSERT"):  # the history, after the record
            file.unlink()

    lease = lease_of(used, force=True)
    assert used._connection is not None
    used._connection.set_trace_callback(trace)
    assert not publish(used, sqlite_place.run(), lease=lease)
    works(used, sqlite_place)


def test_damage__document_that_is_none(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """A record that cannot be read is as good as none, and so are changes and failures."""
    run(used, sqlite_place.run(ERROR))
    before = used.past([KEY])[KEY]
    execute(file, "UPDATE latest SET document = '{}'")
    execute(file, "UPDATE latest SET failures = 'x' || failures || '[1, 2]'")
    execute(file, "UPDATE periods SET changes = '{}\n[1]\n' || changes WHERE changes <> ''")
    assert used.past([KEY])[KEY] == before
    assert used.past_failures([KEY]) == {KEY: []}
    works(used, sqlite_place)


@pytest.mark.parametrize("seed", [*range(4), *map(long, range(4, 20))])
def test_damage__noise_somewhere_in_the_middle(
    used: SQLiteStore, sqlite_place: Place, file: pathlib.Path, seed: int
) -> None:
    """Wherever the noise is: a use fails with nothing worse than a StoreError, and the next one works."""
    chance = random.Random(seed)  # noqa: S311
    size = file.stat().st_size
    with file.open("r+b") as output:
        output.seek(chance.randrange(100, size - 600))
        output.write(chance.randbytes(600))
    for store in (used, sqlite_place.open()):
        with contextlib.suppress(StoreError):
            run(store, sqlite_place.run())
            store.past([KEY])
    run(used, sqlite_place.run())
    used.past([KEY])


@pytest.mark.parametrize("column", ["start", "length", "ok", "timeout", "time_taken", "longest", "times", "changes"])
@pytest.mark.parametrize("value", ["text", b"\xff", -1, 1.7e9 + 0.5, 2**62, math.inf])
def test_damage__numbers_that_are_none(used: SQLiteStore, sqlite_place: Place, column: str, value: object) -> None:
    """A row whose numbers can be no time or count is left out, or heals with the next run; nothing else is harmed."""
    used._do(lambda file: file.execute(f"UPDATE periods SET {column} = ?", (value,)), writes=True)  # noqa: S608
    for _ in range(2):
        past, now = used.past([KEY]).get(KEY, Past()), sqlite_place.clock.now()
        gapless(past.half_hours.get("", ()), now, length=HALF_HOUR, count=HALF_HOURS)
        gapless(past.days, now, length=DAY, count=DAYS)
        assert all(incidents_of("label", some) is not None for some in past.changes.values())
        run(used, sqlite_place.run(ERROR))
    assert used.past_failures([KEY])


def test_damage__a_folder_in_its_place(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """A folder is nothing that we would move: the error says what to do, and after that the store works."""
    file.unlink()
    file.mkdir()
    for store in (used, sqlite_place.open()):
        with pytest.raises(StoreError, match=r"store\.sqlite3 is a folder: name a file in it"):
            store.probe()
        assert "name a file in it" in store.trouble()
    file.rmdir()
    works(used, sqlite_place)
    assert used.trouble() == ""


def test_damage__another_store_s_file(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """A sound file that is put in its place, as a backup is, is used as it is."""
    with contextlib.closing(SQLiteStore(path=file.with_name("backup.sqlite3"))) as other:
        record = run(other, sqlite_place.run())
    file.with_name("backup.sqlite3").replace(file)
    assert look(used).record == record
    assert asides(file) == []


OF_VERSION = "version {} of the store, not {}: restart the processes that run the older version"


def test_version__older(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """Who finds a file of an older version makes a new one; who worked with another file before leaves it to them."""
    used.close()
    of_version(file, 1)
    with pytest.raises(StoreError, match=OF_VERSION.format(1, VERSION)):
        used.probe()
    assert asides(file) == []
    with contextlib.closing(sqlite_place.open()) as newcomer:
        works(newcomer, sqlite_place)  # type: ignore[arg-type]
    assert asides(file) == [f"{file.name}.set-aside"]
    used.probe()


def test_version__newer(used: SQLiteStore, sqlite_place: Place, file: pathlib.Path) -> None:
    """A file of a newer version is left as it is, by who worked with it before and by who did not."""
    of_version(file, 999)
    used.close()
    before = file.read_bytes()
    for store in (used, sqlite_place.open()):
        with pytest.raises(StoreError, match=OF_VERSION.format(999, VERSION)):
            run(store, sqlite_place.run())
    assert file.read_bytes() == before
    assert asides(file) == []


def test_lock__another_connection_holds_it(
    used: SQLiteStore, sqlite_place: Place, file: pathlib.Path, lag: Lag
) -> None:
    """While somebody has locked the file a use fails soon; afterwards all is as it was."""
    record = look(used).record
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for store in (used, sqlite_place.open()):
            start = time.monotonic()
            with pytest.raises(StoreError, match="locked"):
                store.probe()
            assert time.monotonic() - start < 1.5 + lag.slack  # 0.2 s, where nothing is late
        other.execute("ROLLBACK")
    assert look(used).record == record
    assert asides(file) == []


@pytest.fixture
def own_mounts() -> None:
    """Skip the test where a process cannot have mounts of its own."""
    done = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no mounts for tests here: {done.stderr.strip()}")


@pytest.mark.usefixtures("own_mounts")
@pytest.mark.parametrize("there", [True, False], ids=["file", "no file"])
def test_disk__read_only(file: pathlib.Path, there: bool) -> None:
    """Where nothing can be written the store says so, whether or not there is a file, which stays as it is."""
    if there:
        with contextlib.closing(SQLiteStore(path=file)) as store:
            run(store, Place(create_store=lambda clock: store).run())
    content = file.read_bytes() if there else b""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    with peer(file, wrapper=[*UNSHARE, "sh", "-c", script, str(file.parent)]) as other:
        for name in ("probe", "runs", "acquire"):
            with pytest.raises(StoreError, match=r"(?i)read-?only"):
                other.call(name)
    assert (file.read_bytes() if there else b"") == content
    assert asides(file) == []


@pytest.mark.usefixtures("own_mounts")
def test_disk__full(file: pathlib.Path) -> None:
    """Where there is no room for a file the store says so; with one, it goes on in the room that it has."""
    script = 'mount -t tmpfs -o size=512k none "$0" && exec "$@"'
    with peer(file, wrapper=[*UNSHARE, "sh", "-c", script, str(file.parent)]) as other:
        other.call("fill")
        with pytest.raises(StoreError, match=r"(?i)full|no space left"):
            other.call("probe")
        other.call("make_room")
        other.call("force", 3)
        other.call("fill")
        other.call("force", 100, False)
        assert other.call("runs") == 103
        other.call("make_room")
        other.call("force", 1)
        assert other.call("runs") == 104
