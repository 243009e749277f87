"""One file and several processes: who gets the lease, and what is counted."""

from __future__ import annotations

import contextlib
import pathlib
import time

from health_check.stores.sqlite import SQLiteStore
from tests.support.peer import peers
from tests.support.places import counted, record_of

PROCESSES = 3
TIMES = 25


def test_file__of_several_processes(file: pathlib.Path) -> None:
    """Of processes that ask at one moment exactly one runs the check, also where there is no file; each run counts."""
    with peers(file, PROCESSES) as racers:
        for _ in range(5):
            file.unlink(missing_ok=True)
            start = time.monotonic() + 0.05
            for racer in racers:
                racer.send("acquire", start)
            tokens = [racer.receive() for racer in racers]
            winners = [racer for racer, token in zip(racers, tokens, strict=True) if token]
            assert len(winners) == 1
            assert winners[0].call("publish", next(filter(None, tokens)))
            assert [racer.call("acquire") for racer in racers] == [None] * PROCESSES
        for racer in racers:
            racer.send("force", TIMES)
        for racer in racers:
            racer.receive()
        assert [racer.call("runs") for racer in racers] == [PROCESSES * TIMES + 1] * PROCESSES
    with contextlib.closing(SQLiteStore(path=file)) as store:
        assert counted(record_of(store)) == PROCESSES * TIMES + 1
