"""The file of a host: how time is told, what is kept, and who may read it."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import stat

import pytest

from health_check.stores import Key, Query, StoreError
from health_check.stores.sqlite import FORGET_AFTER_SECONDS, SQLiteStore
from tests.support.bench import MovableClock
from tests.support.places import (
    ERROR,
    KEY,
    MAX_AGE,
    OTHER,
    Place,
    SteppingClock,
    ask,
    lease_of,
    look,
    publish,
    record_of,
    run,
)

STEP = 120.0


@pytest.mark.parametrize("step", [STEP, -STEP, 1e9])
def test_freshness__wall_clock_steps(sqlite_place: Place, step: float) -> None:
    """A step of the wall clock makes a record neither older nor younger; only time that passes does."""
    clock = SteppingClock()
    store = sqlite_place.open(clock)
    run(store, sqlite_place.run())
    clock.step = step
    clock.forward(MAX_AGE - 2)
    entry = ask(store)
    assert entry.lease is None
    assert entry.fresh_for == pytest.approx(2, abs=1)
    clock.forward(3)
    assert ask(store).lease is not None


@pytest.mark.parametrize("step", [STEP, -STEP])
def test_lease__wall_clock_steps(sqlite_place: Place, step: float) -> None:
    """A step of the wall clock does not end a lease, nor make it last."""
    clock = SteppingClock()
    store = sqlite_place.open(clock)
    lease_of(store)
    clock.step = step
    clock.forward(28)
    assert ask(store).lease is None
    clock.forward(3)
    assert ask(store).lease is not None


@pytest.mark.parametrize("step", [STEP, -STEP])
def test_publish__a_run_after_the_step_is_the_record(sqlite_place: Place, step: float) -> None:
    """What ran after the step replaces what ran before it, even if it seems to be the older one."""
    clock = SteppingClock()
    place = Place(create_store=sqlite_place.create_store, clock=clock)
    store = sqlite_place.open(clock)
    run(store, place.run())
    clock.forward(MAX_AGE + 1)
    clock.step = step
    lease, result = lease_of(store), place.run(ERROR)
    assert publish(store, result, lease=lease).record == record_of(store)
    assert record_of(store).result == result
    assert ask(store).lease is None
    assert look(store).fresh_for == pytest.approx(MAX_AGE, abs=1)


@pytest.mark.parametrize(
    ("age", "fresh"), [(MAX_AGE / 2, True), (0.0, True), (-1.5, True), (-3.0, False), (MAX_AGE + 1, False)]
)
def test_freshness__record_of_another_boot(sqlite_place: Place, age: float, fresh: bool) -> None:
    """After a restart of the machine the wall clock decides; a record from its future is no good."""
    store = sqlite_place.open()
    assert isinstance(store, SQLiteStore)
    run(store, sqlite_place.run())
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE records SET boot = 'another', fresh_until = 1e12")
    clock = SteppingClock()
    clock.step = age
    later = sqlite_place.open(clock)
    entry = look(later)
    assert (entry.fresh_for > 0) is fresh
    assert entry.fresh_for <= MAX_AGE + 2
    assert (ask(later).lease is None) is fresh


def test_publish__a_result_that_took_its_time(sqlite_place: Place) -> None:
    """A record is fresh from the end of its run on, not from its publication."""
    store = sqlite_place.open()
    result = sqlite_place.run()
    sqlite_place.clock.forward(4)
    run(store, result)
    assert look(store).fresh_for == pytest.approx(MAX_AGE - 4, abs=1)


def test_history__by_number_and_by_age(file: pathlib.Path) -> None:
    """History is bounded by both, for each check on its own."""
    clock = MovableClock()
    with contextlib.closing(SQLiteStore(path=file, history_rows=3, history_seconds=60, clock=clock)) as store:
        place = Place(create_store=lambda clock: store, clock=clock)
        old, results = place.run(), [place.run() for _ in range(5)]
        run(store, old, key=OTHER)
        for result in results:
            run(store, result)
        assert store.history([KEY, OTHER]) == {KEY: tuple(results[-3:]), OTHER: (old,)}
        clock.forward(61)
        assert store.history([KEY, OTHER]) == {KEY: (), OTHER: ()}
        store.close()
        store.probe()
        with contextlib.closing(sqlite3.connect(file)) as database:
            assert database.execute("SELECT count(*) FROM history WHERE label = ?", (OTHER.label,)).fetchone() == (0,)


def test_history__none_is_wanted(file: pathlib.Path) -> None:
    """With no rows to keep, nothing is kept."""
    with contextlib.closing(SQLiteStore(path=file, history_rows=0)) as store:
        run(store, Place(create_store=lambda clock: store).run())
        assert store.history([KEY]) == {KEY: ()}


def test_opened__what_nobody_runs_is_dropped(sqlite_place: Place) -> None:
    """A check that has not run for a week is forgotten; asking this process to forget it does nothing to others."""
    store = sqlite_place.open()
    run(store, sqlite_place.run(), key=OTHER)
    store.forget([OTHER])
    sqlite_place.clock.forward(FORGET_AFTER_SECONDS - 60)
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


def test_path__a_link_is_followed(file: pathlib.Path) -> None:
    """A path that was given may be a link, which stays one."""
    link = file.with_name("link")
    link.symlink_to(file)
    with contextlib.closing(SQLiteStore(path=str(link))) as store:
        run(store, Place(create_store=lambda clock: store).run())
        assert store.path == file
    assert link.is_symlink()
    assert file.exists()


def test_path__its_folder_is_missing(file: pathlib.Path) -> None:
    """A given folder is not made: the error names it and the remedy."""
    store = SQLiteStore(path=file.parent / "missing" / "store.sqlite3")
    assert "missing is not there: make it" in store.trouble()
    with pytest.raises(StoreError, match="missing"):
        store.probe()
    assert not (file.parent / "missing").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"path": ""}, "path is '', use the name of a file"),
        ({"path": 3}, "path is 3, use the name of a file"),
        ({"history_rows": -1}, "history_rows is -1, use a whole number from 0 up"),
        ({"history_rows": True}, "history_rows is True, use a whole number"),
        ({"history_rows": 1.5}, "history_rows is 1.5, use a whole number"),
        ({"history_seconds": -1}, "history_seconds is -1, use a number from 0 up"),
        ({"history_seconds": "1"}, "history_seconds is '1', use a number"),
        ({"history_seconds": float("nan")}, "history_seconds is nan, use a number"),
        ({"paht": "x"}, "paht"),
    ],
)
def test_options__of_no_use(options: dict[str, object], text: str) -> None:
    """An option that cannot work is refused, with the remedy."""
    with pytest.raises(TypeError, match=text):
        SQLiteStore(**options)  # type: ignore[arg-type]


def test_look__of_many_checks(sqlite_place: Place) -> None:
    """However many checks are asked for at once, each has its answer."""
    store = sqlite_place.open()
    entries = store.look([Query(key=Key(label=f"check {n}"), lease_seconds=30.0) for n in range(500)])
    assert len({entry.lease.token for entry in entries if entry.lease}) == 500
