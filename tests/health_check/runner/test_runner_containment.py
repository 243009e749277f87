"""What the runner keeps to the check that does it: blocking, leaking, and failing to start."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.records import Result, State
from health_check.registry.entries import parse
from health_check.stores import Key, Query
from tests.support.bench import SECONDS, Bench, defined, eventually
from tests.support.observing import Noting, observed


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 32}


async def content(check: HealthCheck) -> None:
    """Be content, after a turn of the loop."""
    await asyncio.sleep(0)


def test_loop__blocked_in_the_clean_up_of_a_check__is_replaced(bench: Bench, gate: threading.Event) -> None:
    """A check that blocks only once it is cancelled takes no other check with it."""

    async def block_late(check: HealthCheck) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gate.wait(SECONDS)

    assert bench.read(defined(block_late, timeout=0.1)).state is State.ERROR
    other = defined(content)
    eventually(lambda: bench.read(other).state is State.OK)


def test_loop__blocked_by_what_a_check_left_behind__is_replaced(bench: Bench, gate: threading.Event) -> None:
    """A callback that blocks after its check has ended takes no other check with it."""

    async def leave_behind(check: HealthCheck) -> None:
        asyncio.get_running_loop().call_soon(gate.wait, SECONDS)

    assert bench.read(defined(leave_behind)).state is State.OK
    other = defined(content)
    eventually(lambda: bench.read(other).state is State.OK)


def test_loop__replaced__lets_innocent_checks_clean_up(bench: Bench, gate: threading.Event) -> None:
    """A check that had to leave a blocked loop gets to its `finally` when that is free again."""
    cleaned = threading.Event()
    waiting = threading.Event()
    first = True

    async def innocent(check: HealthCheck) -> None:
        nonlocal first
        if not first:
            return
        first = False
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async def block(check: HealthCheck) -> None:
        while not waiting.is_set():
            await asyncio.sleep(0)
        gate.wait(SECONDS)

    readings = bench.monitor.read([defined(innocent, timeout=5), defined(block, timeout=0.1)])
    assert [reading.state for reading in readings] == [State.OK, State.ERROR]
    assert not cleaned.is_set()
    gate.set()
    assert cleaned.wait(SECONDS)


def test_helpers__of_async_checks_wait_for_no_place(bench: Bench, settings: Settings) -> None:
    """An async check that uses the ORM and a name look-up gets by with a limit of one thread."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 1}

    async def use_threads(check: HealthCheck) -> None:
        await sync_to_async(lambda: None)()
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    assert bench.read(defined(use_threads, timeout=2)).state is State.OK


def test_async_check__constructor_may_use_the_orm(
    bench: Bench, add_database: Callable[..., None], tmp_path: object
) -> None:
    """What Django refuses on an event loop is done on a thread."""
    add_database("shop", ENGINE="django.db.backends.sqlite3", NAME=f"{tmp_path}/shop.sqlite3")

    class Check(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            with contextlib.closing(connections["shop"].cursor()) as cursor:
                cursor.execute("SELECT 1")

        async def check_status(self) -> None:
            """Be content."""

    assert bench.read(parse(Check).define()).state is State.OK


def test_records__are_forgotten_when_there_are_too_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that come and go with requests do not fill the memory; what is fresh, or waited for, stays."""
    monkeypatch.setattr("health_check.monitor.record_cache.MOST_CACHED", 10)
    fresh = defined(lambda check: None, max_age=60)
    record = bench.read(fresh).record
    for _ in range(50):
        bench.read(defined(lambda check: None))
    assert len(bench.monitor._records) <= 11
    assert len(bench.store._records) <= 11
    assert bench.read(fresh).record is record


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_loop__outlives_what_a_task_of_a_check_raises(bench: Bench, error: BaseException) -> None:
    """A task that a check made cannot end the loop, whatever it raises."""
    raised = threading.Event()

    async def leave_a_task(check: HealthCheck) -> None:
        async def end_all() -> None:
            raised.set()
            raise error

        check.task = asyncio.create_task(end_all())  # type: ignore[attr-defined]

    bench.read(defined(leave_a_task))
    assert raised.wait(SECONDS)
    assert bench.read(defined(content)).state is State.OK


def test_read__outrun_run__gives_its_lease_back(bench: Bench, settings: Settings, gate: threading.Event) -> None:
    """A run whose place another check of its label has taken keeps nobody from publishing."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4}

    class Tenant(HealthCheck):
        def __init__(self, slow: bool) -> None:
            super().__init__()
            self.slow = slow

        def check_status(self) -> None:
            if self.slow:
                gate.wait(SECONDS)

    slow, quick = (parse((Tenant, {"slow": value, "name": "tenant"})).define() for value in (True, False))
    assert bench.read(slow, wait=0.0).state is State.UNKNOWN
    assert bench.read(quick).state is State.OK
    gate.set()

    def lease_is_free() -> bool:
        (entry,) = bench.store.look([Query(key=Key(label="tenant"))])
        return entry.held_since is None

    eventually(lease_is_free)


def test_loop__replaced__starts_no_check_again_whose_time_is_up(
    bench: Bench, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that timed out is told as that, and not started on the new loop, though observers have not heard yet."""
    for module in ("monitor.refresh", "runner.runner"):
        monkeypatch.setattr(f"health_check.{module}.BEAT_SECONDS", 0.7)  # later than their time is up
    told, runs = threading.Event(), []

    class Slow(Noting):
        def end(self, result: Result | None = None) -> None:
            assert result is None or told.wait(SECONDS)

    async def hang(check: HealthCheck) -> None:
        runs.append("hang")
        await asyncio.Event().wait()

    async def block(check: HealthCheck) -> None:
        while not runs:
            await asyncio.sleep(0)
        gate.wait(SECONDS)

    with observed(Slow()):
        definitions = [defined(hang, timeout=0.1), defined(block, timeout=0.1)]
        assert {reading.state for reading in bench.monitor.read(definitions)} == {State.ERROR}
        told.set()
    assert runs == ["hang"]


def test_loop__blocked_after_a_while__lets_the_others_go_on(
    bench: Bench, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop is listened to as long as checks are on it: a late block does not cost an innocent check its time."""
    monkeypatch.setattr("health_check.runner.runner.BEAT_SECONDS", 0.05)
    turns = 0
    first = True

    async def innocent(check: HealthCheck) -> None:
        nonlocal first
        if first:
            first = False
            await asyncio.Event().wait()

    async def block_later(check: HealthCheck) -> None:
        nonlocal turns
        while turns < 20:
            turns += 1
            await asyncio.sleep(0.02)
        gate.wait(SECONDS)

    readings = bench.monitor.read([defined(innocent, timeout=1.5), defined(block_later, timeout=1.5)])
    assert [reading.state for reading in readings] == [State.OK, State.ERROR]
