"""One file and several processes: who gets the lease, and what is counted."""

from __future__ import annotations

import contextlib
import pathlib
import time

import pytest

from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import MovableClock
from tests.support.peer import peer, peers
from tests.support.places import Place, ask, counted, lease_of, look, publish, record_of, result_at, run

PROCESSES = 3


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
    with contextlib.closing(SQLiteStore(path=file)) as store:
        assert counted(record_of(store)) == PROCESSES * times


@pytest.mark.parametrize("is_killed", [True, False])
def test_acquire__the_lease_of_a_process_expires(file: pathlib.Path, is_killed: bool) -> None:
    """A process keeps its lease until it expires, also if it was killed, and publishes nothing under it then."""
    clock = MovableClock()
    with peer(file) as other, contextlib.closing(SQLiteStore(path=file, clock=clock)) as store:
        token = other.call("acquire", 0.0, 60.0)
        if is_killed:
            other.process.kill()
            other.process.wait()
        clock.forward(59)
        assert ask(store).lease is None
        clock.forward(2)
        lease = lease_of(store)
        assert is_killed or not other.call("publish", token)
        assert publish(store, result_at(clock.now()), lease=lease)
        assert counted(record_of(store)) == 1


def test_opened__a_store_that_another_process_replaced(file: pathlib.Path) -> None:
    """Where one process builds the file anew all others go over to the new one."""
    with peer(file) as other, contextlib.closing(SQLiteStore(path=file)) as store:
        run(store, Place(create_store=lambda clock: store).run())
        assert other.call("runs") == 1
        file.unlink()
        assert other.call("acquire")
        assert look(store).record is None
        assert ask(store).lease is None
