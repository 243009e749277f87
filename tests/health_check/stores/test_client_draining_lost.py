"""The mark that a host is drained, and a file of records that is lost: whoever knows brings it to the new one."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import SECONDS, eventually
from tests.support.draining import TICK_SECONDS, Host, drain, learned


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose processes see to the file far more often than once a second."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", TICK_SECONDS)
    monkeypatch.setattr("health_check.stores.client.ANSWER_SECONDS", SECONDS)  # a busy machine is no store that hangs
    with contextlib.closing(Host(tmp_path / "store.sqlite3")) as made:
        yield made


def test_lost_file__the_running_processes_bring_it_back(host: Host) -> None:
    """A new file is told by those that know, so that a process that comes later learns of it."""
    store_clients = [host.process(), host.process()]
    drain(store_clients[0])
    eventually(lambda: learned(store_clients[1]))
    host.file.unlink()
    eventually(lambda: host.in_file() == 1)
    assert learned(host.process()) is True
    assert [store_client.draining for store_client in store_clients] == [True, True]


def test_lost_file__nothing_is_brought_where_nobody_is_drained(host: Host) -> None:
    """After an undo a new file stays one in which nobody has said anything."""
    store_client = host.process()
    drain(store_client)
    drain(store_client, on=False)
    host.file.unlink()
    host.wait_for_ticks()
    assert host.in_file() is None
    assert store_client.draining is False


def test_lost_file__undone_at_once(host: Host) -> None:
    """What is undone in the new file stays so: the processes that run take it from there."""
    store_clients = [host.process(), host.process()]
    drain(store_clients[0])
    eventually(lambda: learned(store_clients[1]))
    host.file.unlink()
    drain(host.process(), on=False)
    eventually(lambda: [store_client.draining for store_client in store_clients] == [False, False])
    host.wait_for_ticks()
    assert host.in_file() == 0
    assert [store_client.draining for store_client in store_clients] == [False, False]


class Interrupted(SQLiteStore):
    """Says that the host is drained only after another process has undone that."""

    def drain(self, on: bool, **options: Any) -> None:
        if self.draining is None:
            with contextlib.closing(SQLiteStore(path=self.path)) as other:
                other.drain(False)
        super().drain(on, **options)


def test_lost_file__undone_just_before_it_is_brought(host: Host) -> None:
    """A process that saw a file without the mark does not undo what another one says in that moment."""
    store_client = host.process(lambda: Interrupted(path=host.file))
    drain(store_client)
    host.file.unlink()
    eventually(lambda: host.in_file() is not None)
    eventually(lambda: store_client.draining is False)
    assert host.in_file() == 0
