"""The signals: who hears what, and that no receiver holds up an answer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.dispatch import Signal
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor import runtime, state_changes
from health_check.monitor.state_changes import Notifier, tell_of
from health_check.records import Message, Record, Result, State
from health_check.runner.observers import RoundObserver
from health_check.runner.run import Round, Run
from health_check.signals import check_finished, state_changed
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import SECONDS, eventually
from tests.support.checks import AsyncFine, Broken, Fine, Shaky
from tests.support.places import result_at
from tests.support.readings import definition

PLANTED = "postgres://user:planted@db/shop"
THREADS = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
URL = "/health/?format=json"


def told(notifier: Notifier, label: str, before: Record | None = None, now: Record | None = None) -> None:
    """Have a run of a check told of."""
    record = record_of() if now is None else now
    nobody = Round(RoundObserver(), 1)
    run = Run(definition(label), timeout=1, round_=nobody, arrived=lambda _: None, ended=lambda _: None, clock=Clock())
    notifier.tell(lambda: tell_of(run, before, record))


Connect = Callable[[Signal, Callable[..., object]], None]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """A function that connects a receiver for this test."""
    with contextlib.ExitStack() as stack:

        def make(signal: Signal, receiver: Callable[..., object]) -> None:
            signal.connect(receiver, weak=False)
            stack.callback(signal.disconnect, receiver)

        yield make


class Heard:
    """What was heard of both signals."""

    def __init__(self, connect: Connect) -> None:
        self.finished: list[dict[str, Any]] = []
        self.changed: list[dict[str, Any]] = []
        self.threads: set[str] = set()
        connect(check_finished, self.hear_finished)
        connect(state_changed, self.hear_changed)

    def hear_finished(self, **arguments: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.finished.append(arguments)

    def hear_changed(self, **arguments: Any) -> None:
        self.changed.append(arguments)


@pytest.fixture
def heard(connect: Connect) -> Heard:
    """What is heard of both signals."""
    return Heard(connect)


def signal_threads() -> list[threading.Thread]:
    """Return the threads that send signals."""
    return [thread for thread in threading.enumerate() if thread.name == "health-check-notify"]


def record_of(*errors: Exception, previous: Record | None = None) -> Record:
    """Return the record of a check after a run that had these errors."""
    result: Result = result_at(100.0, *map(Message.of, errors))
    return Record.after(previous, result, max_age=10)


RUNNING = pytest.mark.parametrize("configuration", [{}, THREADS], ids=["here", "threads"])


@RUNNING
@pytest.mark.parametrize(("check", "state"), [(Fine, "ok"), (AsyncFine, "ok"), (Shaky, "warning"), (Broken, "error")])
def test_signals__arguments(
    configuration: dict[str, Any],
    check: type[HealthCheck],
    state: str,
    settings: Settings,
    mount_checks: Mount,
    heard: Heard,
) -> None:
    """Both signals have the class, the label, the result and the record; a change has what it was and is."""
    settings.HEALTH_CHECK = configuration
    mount_checks(check)
    Client().get(URL)
    eventually(lambda: heard.changed)
    (finished,), (changed,) = heard.finished, heard.changed
    assert finished.keys() == {"signal", "sender", "label", "result", "record"}
    assert changed.keys() == finished.keys() | {"previous_state", "state"}
    for arguments in (finished, changed):
        assert (arguments["sender"], arguments["label"]) == (check, check.__name__)
        assert isinstance(arguments["record"], Record)
        assert arguments["record"].result == arguments["result"]
        assert arguments["result"].state == state
    assert (changed["previous_state"], changed["state"]) == (State.UNKNOWN, State(state))


@RUNNING
def test_signals__on_a_thread_of_their_own(
    configuration: dict[str, Any], settings: Settings, mount_checks: Mount, heard: Heard
) -> None:
    """Neither the reader's thread nor one that runs checks sends them; in tests who waits for the answer does."""
    settings.HEALTH_CHECK = configuration
    mount_checks(Fine, Broken)
    Client().get(URL)
    eventually(lambda: len(heard.finished) == 2)
    assert heard.threads == {"health-check-notify" if configuration else threading.current_thread().name}


def test_signals__no_thread_without_news(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, mount_checks: Mount
) -> None:
    """Where nobody listens, and nothing changes that is logged, nothing is started."""
    started: list[str] = []
    monkeypatch.setattr(Notifier, "tell", lambda self, step: started.append("told"))
    settings.HEALTH_CHECK = THREADS
    mount_checks(Fine)
    Client().get(URL)
    assert started == []


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        (None, (), 1),
        ((), (), 0),
        ((), (ServiceWarning("a"),), 1),
        ((ServiceWarning("a"),), (ServiceWarning("b"),), 0),
        ((ServiceWarning("a"),), (ServiceUnavailable("a"),), 1),
        ((ServiceUnavailable("a"),), (), 1),
    ],
)
def test_state_changed__only_then(
    before: tuple[Exception, ...] | None, now: tuple[Exception, ...], changes: int, heard: Heard
) -> None:
    """Each run is announced, and a change of its state only where there is one; other words are none."""
    previous = None if before is None else record_of(*before)
    told(Notifier(Clock()), "A", previous, record_of(*now, previous=previous))
    eventually(lambda: len(heard.finished) == 1)
    assert (len(heard.finished), len(heard.changed)) == (1, changes)
    if changes:
        assert heard.changed[0]["previous_state"] is (previous.result.state if previous else State.UNKNOWN)


@RUNNING
def test_receiver__reads_the_checks_again(
    configuration: dict[str, Any], settings: Settings, mount_checks: Mount, connect: Connect
) -> None:
    """No lock is held while a receiver is called: it may read the checks, and sees what they are."""
    seen: list[str] = []

    def read(**arguments: Any) -> None:
        if not seen:  # nothing is kept in tests: reading runs the check
            seen.append("reading")
            seen.append(runtime.read(wait=5).readings[0].state)

    settings.HEALTH_CHECK = configuration
    connect(check_finished, read)
    mount_checks(Broken)
    assert Client().get(URL).status_code == 500
    eventually(lambda: len(seen) == 2)
    assert seen == ["reading", "error"]


@RUNNING
@pytest.mark.parametrize("signal", [check_finished, state_changed])
def test_receiver__raises(
    configuration: dict[str, Any],
    signal: Signal,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    mount_checks: Mount,
    connect: Connect,
) -> None:
    """A receiver that raises is named in our log, others hear all the same, and the answer is what it is."""

    def raising(**arguments: Any) -> None:
        raise ZeroDivisionError("the words of the receiver")

    settings.HEALTH_CHECK = configuration
    connect(signal, raising)
    heard = Heard(connect)
    mount_checks(Fine)
    assert Client().get(URL).status_code == 200

    def ours() -> list[logging.LogRecord]:
        said = [record for record in caplog.records if record.name == "health_check"]
        return [record for record in said if "receiver" in record.getMessage()]  # not what another test has left

    eventually(lambda: ours() and heard.changed)
    (record,) = ours()
    assert "test_receiver__raises.<locals>.raising" in record.getMessage()
    assert "ZeroDivisionError: the words of the receiver" in record.getMessage()


def test_receiver__goes_on_raising(caplog: pytest.LogCaptureFixture, connect: Connect) -> None:
    """What a receiver raises is logged once, masked, and by our logger alone: Django's would mail it to ADMINS."""

    def raising(**arguments: Any) -> None:
        raise ConnectionError(f"cannot reach {PLANTED}")

    connect(check_finished, raising)
    mine = Notifier(Clock())
    for _ in range(5):
        told(mine, "A", record_of())
    assert [record.name for record in caplog.records] == ["health_check"]
    assert "planted" not in caplog.text


@RUNNING
def test_receiver__tries_to_end_the_process(
    configuration: dict[str, Any], settings: Settings, connect: Connect
) -> None:
    """A receiver that raises what is no Exception ends neither the answer nor the signals that come after."""
    settings.HEALTH_CHECK = configuration
    called = threading.Semaphore(0)

    def exiting(**arguments: Any) -> None:
        called.release()
        raise SystemExit(3)

    connect(check_finished, exiting)
    mine = Notifier(Clock())
    for _ in range(3):
        told(mine, "A")
        assert called.acquire(timeout=5)


@pytest.fixture
def hanging(gate: threading.Event, connect: Connect, settings: Settings) -> tuple[threading.Event, list[str]]:
    """A receiver that hangs: what tells that it was called, and the labels that it was called with."""
    called = threading.Event()
    labels: list[str] = []

    def hang(label: str, **arguments: Any) -> None:
        labels.append(label)
        called.set()
        gate.wait(SECONDS)

    settings.HEALTH_CHECK = THREADS
    connect(check_finished, hang)
    return called, labels


def test_receiver__hangs(gate: threading.Event, hanging: tuple[threading.Event, list[str]], mount: Mount) -> None:
    """A receiver that hangs holds up no answer and no run; what is announced meanwhile is sent afterwards."""
    called, labels = hanging
    before = set(signal_threads())  # those of other tests are idle
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"),
        path("more/", HealthCheckView.as_view(checks=[Broken, Shaky]), name="more"),
    )
    assert Client().get("/health/").status_code == 200
    assert called.wait(SECONDS)
    assert Client().get("/more/?format=text").content.decode().count("\n") == 2
    assert labels == ["Fine"]
    assert len(set(signal_threads()) - before) == 1
    gate.set()
    eventually(lambda: len(labels) == 3)
    assert sorted(labels) == ["Broken", "Fine", "Shaky"]


def test_waiting__no_more_than_that(
    gate: threading.Event,
    hanging: tuple[threading.Event, list[str]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of what waits for a receiver that hangs a bounded number is kept; that others are dropped is said once."""
    called, labels = hanging
    monkeypatch.setattr(state_changes, "MOST_WAITING", 5)
    mine = Notifier(Clock())
    told(mine, "0")
    assert called.wait(SECONDS)
    for number in range(1, 20):
        told(mine, str(number))
    gate.set()
    eventually(lambda: len(labels) == 5)
    eventually(lambda: [record for record in caplog.records if "dropped" in record.getMessage()])
    told(mine, "again")
    eventually(lambda: labels[-1] == "again")
    assert labels == ["0", "1", "2", "3", "4", "again"]


def test_thread__none_to_be_had(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, settings: Settings, heard: Heard
) -> None:
    """Where no thread can be started signals are sent in this one, and a thread is tried again with the next."""
    settings.HEALTH_CHECK = THREADS
    mine = Notifier(Clock())

    def refuse(target: object, name: str) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        for _ in range(3):
            told(mine, "A")
    assert len(heard.finished) == 3
    told(mine, "A")
    eventually(lambda: len(heard.finished) == 4)


def test_receiver__async(heard: Heard, settings: Settings, connect: Connect) -> None:
    """A receiver may be a coroutine function."""
    labels: list[str] = []

    async def receive(label: str, **arguments: Any) -> None:
        labels.append(label)

    settings.HEALTH_CHECK = THREADS
    connect(check_finished, receive)
    told(Notifier(Clock()), "A")
    eventually(lambda: labels == ["A"] and heard.finished)
