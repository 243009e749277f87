"""One file and several processes: who gets the lease, what is counted, and who is waited for."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import time

import pytest

from health_check.stores import lease_holder
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import MovableClock
from tests.support.peer import peer, peers
from tests.support.places import Place, ask, counted, lease_of, look, record_of, run

PROCESSES = 4


def test_acquire__one_of_several_processes_gets_the_lease(file: pathlib.Path) -> None:
    """Of processes that ask at the same moment exactly one runs the check, also where there is no file yet."""
    with peers(file, PROCESSES) as racers:
        for _ in range(5):
            start = time.monotonic() + 0.05
            for racer in racers:
                racer.send("acquire", start)
            tokens = [racer.receive() for racer in racers]
            winners = [racer for racer, token in zip(racers, tokens, strict=True) if token]
            assert len(winners) == 1
            assert winners[0].call("publish", next(filter(None, tokens)))
            assert [racer.call("acquire") for racer in racers] == [None] * PROCESSES
            file.unlink()


def test_publish__counts_of_several_processes_are_exact(file: pathlib.Path) -> None:
    """However many processes run a check at the same time, each run counts once."""
    times = 25
    with peers(file, PROCESSES) as racers:
        for racer in racers:
            racer.send("force", times)
        for racer in racers:
            racer.receive()
        assert [racer.call("runs") for racer in racers] == [PROCESSES * times] * PROCESSES
        assert len({racer.call("generation") for racer in racers}) == 1
    with contextlib.closing(SQLiteStore(path=file)) as store:
        assert counted(record_of(store)) == PROCESSES * times


def test_acquire__the_lease_of_a_killed_process_is_free_at_once(file: pathlib.Path) -> None:
    """Nobody waits for the dead, be they buried or not."""
    with peer(file) as other, contextlib.closing(SQLiteStore(path=file)) as store:
        assert other.call("acquire", 0.0, 3600.0)
        assert ask(store).lease is None
        other.process.kill()
        other.process.wait()
        assert look(store).held_since is None
        assert ask(store).lease is not None


def test_acquire__the_lease_of_a_live_process_expires(file: pathlib.Path) -> None:
    """A process that lives keeps its lease until it expires, and publishes nothing under it then."""
    clock = MovableClock()
    with peer(file) as other, contextlib.closing(SQLiteStore(path=file, clock=clock)) as store:
        token = other.call("acquire", 0.0, 60.0)
        clock.forward(59)
        assert ask(store).lease is None
        clock.forward(2)
        assert ask(store).lease is not None
        assert not other.call("publish", token)
        assert other.call("runs") == 0


@pytest.mark.parametrize("namespace", ["pid:[1]", lease_holder.UNSEEN])
def test_acquire__a_holder_that_cannot_be_seen_is_waited_for(sqlite_place: Place, namespace: str) -> None:
    """A process of another container may live although its number is free here: its lease goes only by expiry."""
    store = sqlite_place.open()
    lease_of(store)
    forge_holder(store, f"{lease_holder.boot()} {namespace} 999999999 1")
    assert look(store).held_since is not None
    assert ask(store).lease is None
    sqlite_place.clock.forward(31)
    assert ask(store).lease is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        f"{lease_holder.boot()} a b c d",
        "another-boot pid:[1] 1 1",
        f"{lease_holder.boot()} pid:[1] x 1",
    ],
)
def test_acquire__a_holder_that_cannot_live_is_not_waited_for(sqlite_place: Place, name: str) -> None:
    """What is no process, or was one before the machine was started again, keeps nobody waiting."""
    store = sqlite_place.open()
    lease_of(store)
    forge_holder(store, name)
    assert ask(store).lease is not None


def test_acquire__a_lease_of_another_boot_is_void(sqlite_place: Place) -> None:
    """After a restart of the machine the monotonic clock begins anew: what it said before means nothing."""
    store = sqlite_place.open()
    lease_of(store)
    change(store, "UPDATE leases SET boot = 'another'")
    assert ask(store).lease is not None


def test_opened__two_processes_that_build_at_once(file: pathlib.Path) -> None:
    """Processes that find no file at the same moment end up on one, and nothing else stays behind."""
    with peers(file, PROCESSES) as builders:
        for builder in builders:
            builder.send("generation")
        generations = {builder.receive() for builder in builders}
    assert len(generations) == 1
    assert [found.name for found in file.parent.glob("store*")] == [file.name]


def test_opened__a_store_that_another_process_replaced(file: pathlib.Path) -> None:
    """Where one process builds the file anew all others go over to the new one."""
    with peer(file) as other, contextlib.closing(SQLiteStore(path=file)) as store:
        run(store, Place(create_store=lambda clock: store).run())
        before = other.call("generation")
        file.unlink()
        assert other.call("runs") == 0
        assert other.call("generation") != before
        store.probe()
        assert store.generation == other.call("generation")
        assert look(store).record is None


def forge_holder(store: SQLiteStore | object, name: str) -> None:
    """Let all leases be held by somebody else."""
    change(store, "UPDATE leases SET holder = ?", name)


def change(store: object, statement: str, *values: object) -> None:
    """Change a store's file behind its back."""
    assert isinstance(store, SQLiteStore)
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute(statement, values)
