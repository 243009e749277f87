"""The store client and the mark that its host is drained: who learns of it, and when."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import time
from collections.abc import Iterator

import pytest

from health_check.stores.client import ANSWER_SECONDS
from health_check.stores.memory import MemoryStore
from tests.support.bench import SECONDS, SharedStore, eventually
from tests.support.client import Lag
from tests.support.draining import DRAINED, UNDRAINED, Host, said


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose processes come back to a lost file at once."""
    monkeypatch.setattr("health_check.stores.client.RETRY_SECONDS", 0.02)
    monkeypatch.setattr("health_check.stores.client.ANSWER_SECONDS", SECONDS)  # a busy machine is no store that hangs
    with contextlib.closing(Host(tmp_path / "store.sqlite3")) as made:
        yield made


def test_drain__all_processes_learn_of_it(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Those that run hear of it within a second, or with whatever else they ask; each says so once per change."""
    caplog.set_level(logging.INFO, "health_check")
    first, second, idle = host.process(), host.process(), host.process()
    assert (first.draining, host.learned(second), said(caplog)) == (None, False, [])
    for on, text in ((True, DRAINED), (False, UNDRAINED)):
        caplog.clear()
        for _ in range(2):
            assert first.drain(on)
            assert host.learned(first) is host.learned(second) is on
        assert idle.look([]) == []
        assert idle.draining is on
        assert said(caplog) == [text] * 3


def test_learn_draining__is_asked_once_a_second(host: Host) -> None:
    """However many ask, the store is asked when a second has passed."""
    shelf = SharedStore(host.clock)
    process = host.process(lambda: shelf)
    for _ in range(2):
        for _ in range(20):
            assert process.learn_draining().wait(SECONDS)
        host.clock.forward(1.0)
    assert shelf.calls == ["probe"] * 2


def test_drain__store_hangs__does_not_take_long(host: Host, monkeypatch: pytest.MonkeyPatch, lag: Lag) -> None:
    """Whoever wants it waits for a quarter of a second, and what the call brings home later is no news."""
    monkeypatch.setattr("health_check.stores.client.ANSWER_SECONDS", ANSWER_SECONDS)
    shelves = [SharedStore(host.clock), SharedStore(host.clock)]
    process = host.process(iter(shelves).__next__)
    with shelves[0].holding("probe") as held:
        began = time.monotonic()
        process.learn_draining()
        assert held.running.wait(SECONDS)
        assert not process.drain(True)
        assert time.monotonic() - began < 2 * ANSWER_SECONDS + lag.slack
        eventually(lambda: not process.up)
        shelves[0].draining = True
    eventually(lambda: process.up and not any(thread.is_alive() for thread in shelves[0].threads))
    assert process.draining is False


def test_lost_file__the_running_processes_bring_it_back(host: Host) -> None:
    """A new file is told by those that know, unless somebody has said something in it."""
    processes = [host.process(), host.process()]
    assert processes[0].drain(True)
    assert host.learned(processes[1]) is True
    host.file.unlink()
    assert host.learned(processes[0]) is True
    assert host.in_file() == 1
    assert host.learned(host.process()) is True
    host.file.unlink()
    assert host.process().drain(False)
    assert [host.learned(process) for process in processes] == [False, False]
    host.file.unlink()
    assert [host.learned(process) for process in processes] == [False, False]
    assert host.in_file() is None, "nobody has said anything there"


def test_drain__store_of_one_process(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody else is to be told, it is known from the beginning, and in place; such a store may refuse."""
    store = MemoryStore()
    process = host.process(lambda: store)
    assert process.draining is False
    for on in (True, False):
        assert process.drain(on)
        assert process.learn_draining().done()
        assert (process.draining, store.draining) == (on, on)

    def refuse(on: bool) -> None:
        raise OSError("gone")

    monkeypatch.setattr(store, "drain", refuse)
    assert not process.drain(True)
    assert process.draining is False
