"""The store client and the mark that its host is drained: who learns of it, and when."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import time
from collections.abc import Iterator

import pytest

from health_check.stores import Store
from health_check.stores.client import ANSWER_SECONDS, STUCK_SECONDS
from health_check.stores.memory import MemoryStore
from tests.support.bench import SECONDS, SharedStore, eventually
from tests.support.draining import DRAINED, TICK_SECONDS, UNDRAINED, Host, drain, learned, look, said
from tests.support.files import replace_by_folder


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose processes see to the file far more often than once a second."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", TICK_SECONDS)
    monkeypatch.setattr("health_check.stores.client.ANSWER_SECONDS", SECONDS)  # a busy machine is no store that hangs
    with contextlib.closing(Host(tmp_path / "store.sqlite3")) as made:
        yield made


@pytest.fixture
def hurried(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have processes wait for the store as briefly as they do elsewhere."""
    monkeypatch.setattr("health_check.stores.client.ANSWER_SECONDS", ANSWER_SECONDS)


def test_draining__is_learned(host: Host) -> None:
    """Before the store was asked nobody knows; then it is known, also where nobody has ever said so."""
    store_client = host.process()
    assert store_client.draining is None
    assert learned(store_client) is False


def test_draining__is_learned_by_whatever_is_asked(host: Host) -> None:
    """A process that asks for a check knows it then."""
    drain(host.process())
    store_client = host.process()
    look(store_client)
    assert store_client.draining is True


def test_drain__all_processes_learn_of_it(host: Host) -> None:
    """Those that run hear of it without asking, those that come later when they ask; and so they do of the end."""
    first, second, idle = host.process(), host.process(), host.process()
    assert learned(second) is False
    assert drain(first)
    assert first.draining is True
    eventually(lambda: second.draining)
    assert idle.draining is None
    assert learned(host.process()) is True
    assert drain(second, on=False)
    eventually(lambda: first.draining is False)
    assert learned(idle) is False


def test_drain__is_logged_once_per_change(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Each process says so when it learns of a change, and nothing while all is as it was."""
    caplog.set_level(logging.INFO, "health_check")
    store_client = host.process()
    learned(store_client)
    assert said(caplog) == []
    for _ in range(2):
        drain(store_client)
        for _ in range(20):
            look(store_client)
    assert said(caplog) == [DRAINED]
    for _ in range(2):
        drain(store_client, on=False)
        look(store_client)
    assert said(caplog) == [DRAINED, UNDRAINED]
    drain(store_client)
    learned(host.process())
    assert said(caplog) == [DRAINED, UNDRAINED, DRAINED, DRAINED]
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert (levels[DRAINED], levels[UNDRAINED]) == ("WARNING", "INFO")


def test_draining__store_is_down__stays(host: Host) -> None:
    """A process that knows goes on knowing while it cannot ask."""
    store_client = host.process()
    drain(store_client)
    replace_by_folder(host.file)
    eventually(lambda: not store_client.up)
    assert store_client.draining is True
    assert learned(store_client) is True
    host.file.rmdir()
    eventually(lambda: store_client.up)
    assert learned(host.process()) is True


def test_draining__store_is_down__a_new_process_cannot_know(host: Host) -> None:
    """One that comes meanwhile is told that nobody knows, and learns of it as soon as that is possible."""
    drain(host.process())
    with host.locked_file():
        store_client = host.process()
        began = time.monotonic()
        assert learned(store_client) is None
        assert time.monotonic() - began < SECONDS / 4
        assert not store_client.up
    eventually(lambda: store_client.draining)


def test_drain__store_is_down__is_not_noted(host: Host) -> None:
    """What could not be written is not believed by whoever wanted it."""
    store_client = host.process()
    drain(store_client, on=False)
    with host.locked_file():
        assert not drain(store_client)
        assert not drain(store_client)
        assert store_client.draining is False
    eventually(lambda: store_client.up)
    assert learned(host.process()) is False


@pytest.mark.usefixtures("hurried")
def test_drain__store_hangs__does_not_take_long(host: Host) -> None:
    """Whoever wants it waits for a quarter of a second."""
    shelf = SharedStore(host.clock)
    store_client = host.process(lambda: shelf)
    with shelf.holding("probe"):
        began = time.monotonic()
        assert learned(store_client) is False  # a shelf in memory knows
        assert not drain(store_client)
        assert 0.9 * ANSWER_SECONDS < time.monotonic() - began < SECONDS / 4


@pytest.mark.usefixtures("hurried")
def test_draining__of_a_clerk_that_was_left_behind(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """What a call brings home that was given up long ago is no news."""
    shelves = [SharedStore(host.clock), SharedStore(host.clock)]
    stores: list[Store] = [*shelves]
    store_client = host.process(lambda: stores.pop(0))
    with shelves[0].holding("look") as held:
        look(store_client)
        assert held.running.wait(SECONDS)
        host.clock.forward(STUCK_SECONDS + 1)
        look(store_client)
        eventually(lambda: store_client.up)
        assert store_client.draining is False
        shelves[0].draining = True
    eventually(lambda: not any(thread.is_alive() for thread in shelves[0].threads))
    assert said(caplog) == []
    assert store_client.draining is False


def test_draining__store_of_one_process(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody else is to be told, it is known from the beginning, and in place."""
    store = MemoryStore()
    store_client = host.process(lambda: store)
    assert store_client.draining is False
    for on in (True, False):
        assert store_client.drain(on).done()
        assert store_client.learn_draining().done()
        assert (store_client.draining, store.draining) == (on, on)
    assert said(caplog) == [DRAINED]


def test_drain__store_of_one_process_fails(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of somebody's own may refuse."""
    store = MemoryStore()

    def refuse(on: bool) -> None:
        raise OSError("gone")

    monkeypatch.setattr(store, "drain", refuse)
    store_client = host.process(lambda: store)
    assert not drain(store_client)
    assert store_client.draining is False
