"""The runner: checks on threads and a loop of its own, each under its deadline."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import threading
import time
import types
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency import threads
from health_check.records import State
from health_check.registry.entries import parse
from tests.support.bench import SECONDS, Bench, defined
from tests.support.client import Lag, eventually

pytestmark = pytest.mark.usefixtures("on_threads")


def test_sync_check__runs_on_a_thread_of_the_runner(bench: Bench) -> None:
    """Neither the check nor its constructor runs in the thread that asks."""
    seen: list[str] = []

    class Check(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            seen.append(threading.current_thread().name)

        def check_status(self) -> None:
            seen.append(threading.current_thread().name)

    definition = parse(Check).define()
    seen.clear()
    bench.read(definition)
    assert seen == ["health-check-run"] * 2


def test_async_checks__share_one_loop_that_is_the_runners(bench: Bench) -> None:
    """Async checks run at the same time, on one thread."""
    seen: list[str] = []
    together = 3
    arrived: list[int] = []

    async def check_status(check: HealthCheck) -> None:
        seen.append(threading.current_thread().name)
        arrived.append(1)
        while len(arrived) < together:
            await asyncio.sleep(0)

    definitions = [defined(check_status) for _ in range(together)]
    assert [reading.state for reading in bench.monitor.read(definitions)] == [State.OK] * together
    assert set(seen) == {"health-check-event-loop"}


def test_async_check__is_cancelled_at_its_deadline(bench: Bench) -> None:
    """A check that waits for ever is told to stop, and the next one runs on the same loop."""
    cancelled = threading.Event()

    async def check_status(check: HealthCheck) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    hung = bench.read(defined(check_status, timeout=0.1))
    assert hung.pretty_status == "unavailable: timed out after 0.1 s"
    assert cancelled.wait(SECONDS)


def test_loop__rests_between_checks_under_mod_wsgi(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In embedded mode other sites' interpreters could take a running loop for theirs; checks still share one loop.

    Seen with mod_wsgi and Python 3.11: one ORM page in seven of another site was a SynchronousOnlyOperation.
    """
    monkeypatch.setitem(sys.modules, "mod_wsgi", types.ModuleType("mod_wsgi"))
    loops: list[asyncio.AbstractEventLoop] = []

    async def check_status(check: HealthCheck) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    definition = defined(check_status)
    for number in range(1, 4):
        assert bench.read(definition, force=True).state is State.OK
        assert len(loops) == number
        eventually(lambda: not loops[0].is_running(), what="the loop to rest")
    assert len(set(loops)) == 1


def test_async_check__that_blocks_the_loop__does_not_take_others_with_it(bench: Bench, gate: threading.Event) -> None:
    """The loop is left to the check that blocks it; others run on a new one, in the same reading."""
    runs: list[str] = []

    async def block(check: HealthCheck) -> None:
        runs.append("block")
        gate.wait(SECONDS)

    async def behave(check: HealthCheck) -> None:
        runs.append("behave")
        await asyncio.sleep(0)

    blocking, good = defined(block, timeout=0.1, max_age=0), defined(behave, max_age=0)
    first = bench.monitor.read([blocking, good])
    assert [reading.state for reading in first] == [State.ERROR, State.OK]
    second = bench.monitor.read([blocking, good])
    assert second[0].pretty_status.startswith("unavailable: still running")
    assert second[1].state is State.OK
    assert runs.count("block") == 1


def test_async_check__sync_calls__run_on_one_pool_thread_that_is_closed(bench: Bench) -> None:
    """The ORM's calls of one check share a thread of the runner's, and the check itself stays on the loop."""
    seen: list[int] = []

    async def check_status(check: HealthCheck) -> None:
        for _ in range(3):
            await sync_to_async(lambda: seen.append(threading.get_ident()))()

    assert bench.read(defined(check_status)).state is State.OK
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()


def test_async_check__hung_sync_call__is_stuck_until_it_returns(bench: Bench, gate: threading.Event) -> None:
    """Cancelling the coroutine does not end its thread: the check is not started again before that."""
    runs: list[int] = []

    async def check_status(check: HealthCheck) -> None:
        runs.append(1)
        await sync_to_async(gate.wait)(SECONDS)

    definition = defined(check_status, timeout=0.1, max_age=0)
    assert bench.read(definition).state is State.ERROR
    assert "still running" in bench.read(definition).pretty_status
    assert len(runs) == 1
    gate.set()
    while bench.read(definition).state is not State.OK:
        threading.Event().wait(0.005)
    assert len(runs) == 2


def test_async_check__default_executor__is_the_runners_too(bench: Bench) -> None:
    """Name look-ups run on daemon threads, so that a hung one does not hold up the exit."""
    seen: list[tuple[str, bool]] = []

    def look_up() -> None:
        seen.append((threading.current_thread().name, threading.current_thread().daemon))

    async def check_status(check: HealthCheck) -> None:
        await asyncio.get_running_loop().run_in_executor(None, look_up)

    assert bench.read(defined(check_status)).state is State.OK
    assert seen == [("health-check-run", True)]


def test_check__that_cannot_be_constructed__says_so(bench: Bench) -> None:
    """A constructor that fails later than at first sight is named in the message."""
    broken = False

    class Check(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            if broken:
                raise OSError("no such file")

        def check_status(self) -> None:
            """Be content."""

    definition = parse(Check).define()
    broken = True
    reading = bench.read(definition)
    assert reading.state is State.ERROR
    assert "could not be constructed (OSError)" in reading.pretty_status
    assert "no such file" not in reading.pretty_status


def test_connections__of_the_threads_are_closed_after_each_run(
    bench: Bench, add_database: Callable[..., None], tmp_path: pathlib.Path
) -> None:
    """A check's database connection does not outlive its run; the reader's own is left alone."""
    add_database("shop", ENGINE="django.db.backends.sqlite3", NAME=tmp_path / "shop.sqlite3")
    opened: list[object] = []
    closed = threading.Event()

    def check_status(check: HealthCheck) -> None:
        wrapper = connections["shop"]
        wrapper.ensure_connection()
        close = wrapper.close
        wrapper.close = lambda: (close(), closed.set())  # type: ignore[assignment,method-assign,func-returns-value]
        opened.append(wrapper)

    assert bench.read(defined(check_status)).state is State.OK
    assert closed.wait(SECONDS)
    assert opened[0] is not connections["shop"]


def test_here__runs_in_the_calling_thread(bench: Bench, settings: Settings) -> None:
    """With MAX_CONCURRENCY 0 the check shares the thread, and so the transaction, of who asks."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 0}
    seen: list[int] = []

    async def acheck_status(check: HealthCheck) -> None:
        await sync_to_async(lambda: seen.append(threading.get_ident()))()

    bench.read(defined(lambda check: seen.append(threading.get_ident())))
    bench.read(defined(acheck_status))
    assert seen == [threading.get_ident()] * 2


def test_here__lets_ctrl_c_through(bench: Bench, settings: Settings) -> None:
    """In the calling thread a KeyboardInterrupt is somebody at the keyboard."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 0}

    def interrupt(check: HealthCheck) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.read(defined(interrupt))


def test_start__without_threads__is_an_error_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch, lag: Lag) -> None:
    """Where the system has no thread left, every check says so, and nobody waits."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start", refuse)

    async def acheck_status(check: HealthCheck) -> None:
        """Never come here."""

    started = time.monotonic()
    readings = bench.monitor.read([defined(lambda check: None), defined(acheck_status)])
    assert time.monotonic() - started < 4 + lag.slack
    assert {reading.pretty_status for reading in readings} == {
        "unavailable: no thread could be started to run the check"
    }
