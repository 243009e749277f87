"""Who holds a lease, and whether that process can still be waited for."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from health_check.stores import lease_holder
from tests.support.peer import Peer, peer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell when a process started")


@pytest.fixture
def other(tmp_path: pathlib.Path) -> Iterator[Peer]:
    """Another process."""
    with peer(tmp_path / "store.sqlite3") as started:
        yield started


def test_myself__is_alive() -> None:
    """The process that asks lives, and always has the same name."""
    assert not lease_holder.is_dead(lease_holder.myself())
    assert lease_holder.myself() == lease_holder.myself()
    assert lease_holder.myself().split(" ")[2] == str(os.getpid())


def test_myself__after_a_fork(other: Peer) -> None:
    """A child is somebody else, though it inherits all that its parent knew; as a zombie it is dead already."""
    parent, child, dead_as_zombie, dead = other.call("forked")
    assert parent.split(" ")[2] == str(other.process.pid)
    assert child.split(" ")[:2] == parent.split(" ")[:2]
    assert child.split(" ")[2] != parent.split(" ")[2]
    assert (dead_as_zombie, dead) == (True, True)
    assert not lease_holder.is_dead(parent)


def test_is_dead__another_process(other: Peer) -> None:
    """Another process is alive until it ends; that it was not waited for yet makes it no less dead."""
    name = other.call("myself")
    assert name.split(" ")[2] == str(other.process.pid)
    assert not lease_holder.is_dead(name)
    other.process.kill()
    os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)
    assert lease_holder.is_dead(name)
    other.process.wait()
    assert lease_holder.is_dead(name)


def test_is_dead__its_number_was_given_again() -> None:
    """A process that has the number of the holder but started at another time is not the holder."""
    boot, namespace, pid, started = lease_holder.myself().split(" ")
    assert lease_holder.is_dead(f"{boot} {namespace} {pid} {int(started) - 1}")


def test_is_dead__a_number_that_is_free() -> None:
    """A process that is no more is dead."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert lease_holder.is_dead(f"{_boot_and_namespace()} {ended.pid} 1")


def test_is_dead__another_boot() -> None:
    """Nobody outlives a restart of the machine."""
    _, namespace, pid, started = lease_holder.myself().split(" ")
    assert lease_holder.is_dead(f"0b0e8a3c {namespace} {pid} {started}")


@pytest.mark.parametrize(("position", "value"), [(0, lease_holder.UNSEEN), (1, lease_holder.UNSEEN), (1, "pid:[1]")])
def test_is_dead__cannot_be_seen(position: int, value: str) -> None:
    """Who cannot be seen from here may live: only time tells."""
    name = f"{_boot_and_namespace()} 999999999 1".split(" ")
    name[position] = value
    assert not lease_holder.is_dead(" ".join(name))


@pytest.mark.parametrize("text", ["", " ", "x", "a b c d", "a b 1", "a b 1 2 3", "\x00 \x00 \x00 \x00"])
def test_is_dead__garbage(text: str) -> None:
    """What is no process's name keeps nobody waiting."""
    assert lease_holder.is_dead(text)


@pytest.mark.parametrize("pid", [str(10**30), "-5", str(2**31)])
def test_is_dead__impossible_number(pid: str) -> None:
    """A number that no process can have is one of a dead one."""
    assert lease_holder.is_dead(f"{_boot_and_namespace()} {pid} 1")


def _boot_and_namespace() -> str:
    return " ".join(lease_holder.myself().split(" ")[:2])
