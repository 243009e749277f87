"""What goes wrong at any step of a refresh reaches who waits, in time, and the next read starts from scratch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency import threads
from health_check.records import State
from health_check.registry.definitions import Definition
from health_check.runner.observers import Observer
from health_check.signals import check_finished
from health_check.stores import StoreError
from tests.support.bench import SECONDS, Held, Script, SharedStore, Worker, defined, eventually
from tests.support.client import Lag
from tests.support.observing import Noting, observed

PATIENCE = 5.0
"""How many seconds a reader may wait at most here: less than a check of its own patience would take."""


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 8, "MAX_AGE": 0, "TIMEOUT": 3}


async def fine(check: HealthCheck) -> None:
    """Be an async check that is ok."""


def states(worker: Worker, *definitions: Definition, force: bool = False) -> set[State]:
    """Read checks, which must not take long, and return their states."""
    began = time.monotonic()
    readings = worker.monitor.read(definitions, force=force)
    assert time.monotonic() - began < PATIENCE
    return {reading.state for reading in readings}


@pytest.mark.parametrize("number", range(1, 9))
def test_thread__not_to_be_had(worker: Worker, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whichever start of a thread fails: everybody has an answer in time, and the next read is as ever."""
    start, starts = threads.start, 0

    def start_but_one(target: Callable[[], None], name: str) -> None:
        nonlocal starts
        starts += 1
        if starts == number:
            raise RuntimeError("can't start new thread")
        start(target, name)

    monkeypatch.setattr(threads, "start", start_but_one)
    definitions = [Script().define(), Script(None, ValueError()).define(), defined(fine)]
    for force in (False, True, False):
        assert State.UNKNOWN not in states(worker, *definitions, force=force) or starts >= number
    assert states(worker, *definitions) <= {State.OK, State.ERROR}
    assert states(worker, definitions[0], definitions[2], force=True) == {State.OK}


@pytest.mark.parametrize("method", ["look", "publish", "release", "probe"])
@pytest.mark.parametrize("error", [StoreError("gone"), OSError("odd"), ZeroDivisionError(), AssertionError()])
def test_store__raises(worker: Worker, shelf: SharedStore, method: str, error: Exception) -> None:
    """Whatever a store raises, wherever: checks run as ever, and the process comes back to it."""
    definition = Script().define()
    assert states(worker, definition) == {State.OK}
    shelf.fail(error, method)
    assert states(worker, definition) == {State.OK}
    shelf.recover()
    eventually(lambda: worker.store_client.up)
    assert states(worker, definition) == {State.OK}


@pytest.mark.parametrize("setting", [{"MAX_AGE": "x"}, {"TIMEOUT": -1}, {"WAIT": None}, {"DURATION_BUCKETS": [3, 1]}])
def test_setting__that_cannot_be_used(worker: Worker, settings: Settings, setting: dict[str, object]) -> None:
    """A setting that cannot be used reaches who reads, by an exception or a state, and leaves nothing behind."""
    definition, usable = Script().define(), settings.HEALTH_CHECK
    assert states(worker, definition) == {State.OK}
    settings.HEALTH_CHECK = {**usable, **setting}
    try:
        assert states(worker, definition) != {State.OK}
    except Exception as error:
        assert "HEALTH_CHECK" in str(error)  # noqa: PT017 - either will do
    settings.HEALTH_CHECK = usable
    assert states(worker, definition) == {State.OK}


def nonsense() -> Any:
    """Fail."""
    raise LookupError


def test_receiver_and_log_handler__raise(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver of signals or a log handler that raises changes no answer."""

    def fail(*args: object, **kwargs: object) -> None:
        raise LookupError("of the site's own")

    handler = logging.Handler()
    monkeypatch.setattr(handler, "handle", fail)
    logger = logging.getLogger("health_check")
    logger.addHandler(handler)
    check_finished.connect(fail)
    try:
        definition = Script(ValueError(), None).define()
        assert [states(worker, definition) for _ in range(3)] == [{State.ERROR}, {State.OK}, {State.OK}]
        worker.monitor.flush(SECONDS)
    finally:
        check_finished.disconnect(fail)
        logger.removeHandler(handler)


@pytest.mark.parametrize("what", ["another check", "the same one"])
def test_store__hangs__others_do_not_wait(worker: Worker, shelf: SharedStore, held: Held, lag: Lag, what: str) -> None:
    """While one call at the store hangs, and one check, a read that begins then ends within 0.3 s, without it."""
    slow, quick = defined(held, timeout=3), Script().define()
    assert states(worker, quick) == {State.OK}
    worker.monitor.trigger([slow])
    held.running.wait(SECONDS)
    with shelf.holding("look") as call:
        worker.monitor.trigger([Script().define() if what == "another check" else quick])
        call.running.wait(SECONDS)
        began = time.monotonic()
        assert states(worker, quick) == {State.OK}
        assert time.monotonic() - began < 0.3 + lag.slack
        began = time.monotonic()
        assert states(worker, quick) == {State.OK}
        assert time.monotonic() - began < 0.1 + lag.slack, "the store is lost by now"
    held.let_go.set()
    eventually(lambda: worker.store_client.up)


class Untraceable(Observer):
    """An observer that cannot even be asked for."""

    def untraced(self) -> Any:
        raise LookupError("untraced")


OBSERVERS = {
    "none": Observer(),
    **{moment: Noting(fails_at=moment) for moment in ("round", "run", "enter", "leave", "end", "waited")},
    "exemplar": Noting(exemplar=nonsense),
    "untraced": Untraceable(),
}
"""Observers that raise at one of the moments they hear of."""


@pytest.mark.parametrize("observer", OBSERVERS.values(), ids=OBSERVERS)
def test_log_handler__blocks__delays_nothing(
    worker: Worker, gate: threading.Event, held: Held, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log handler that blocks delays no lease, answer, deadline or event loop, nor does an observer that raises."""

    class Blocking(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            return gate.wait(SECONDS)

    async def leave(check: HealthCheck) -> None:
        raise SystemExit

    monkeypatch.setattr("health_check.logs._said", {})
    handler = Blocking()
    logger = logging.getLogger("health_check")
    logger.addHandler(handler)
    faulty = [Script(ValueError()).define(), defined(leave)]
    try:
        with observed(observer):
            assert states(worker, *faulty) == {State.ERROR}
            began = time.monotonic()
            assert states(worker, *faulty, Script().define(), defined(fine)) == {State.ERROR, State.OK}
            assert states(worker, defined(held, timeout=0.1)) == {State.ERROR}
            assert time.monotonic() - began < 3
    finally:
        gate.set()
        logger.removeHandler(handler)
        worker.monitor.flush(SECONDS)


def test_async_client_of_a_module__used_by_two_checks(worker: Worker) -> None:
    """A client that a user keeps at module level, which works with one event loop, serves 100 refreshes."""
    client: list[tuple[asyncio.AbstractEventLoop, asyncio.Lock]] = []

    async def use(check: HealthCheck) -> None:
        loop = asyncio.get_running_loop()
        if not client:
            client.append((loop, asyncio.Lock()))
        assert client[0][0] is loop, "attached to a different loop"
        async with client[0][1]:
            await asyncio.sleep(0)

    definitions = [defined(use), defined(use)]
    assert [states(worker, *definitions) for _ in range(100)] == [{State.OK}] * 100


def test_store__away_while_two_runs_end__and_back(worker: Worker, shelf: SharedStore) -> None:
    """Two runs that end while the store is away are shown; when it is back, it has the next ones, not those."""
    one, two = Held(), Held()
    definitions = [defined(one), defined(two)]
    worker.monitor.trigger(definitions)
    for held in (one, two):
        held.running.wait(SECONDS)
    shelf.fail(OSError("away"))
    for held in (one, two):
        held.let_go.set()
    eventually(lambda: not worker.store_client.up)
    assert states(worker, *definitions) == {State.OK}
    shelf.recover()
    eventually(lambda: worker.store_client.up)
    shelf.clock.forward(60.0)  # the leases of the two runs have ended
    assert states(worker, *definitions) == {State.OK}
    records = [reading.record for reading in worker.monitor.read(definitions)]
    assert all(record is not None and sum(record.totals.runs.values()) == 2 for record in records)
