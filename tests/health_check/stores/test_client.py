"""The store client: all calls on one thread, nobody waits for one for long, and a store that was lost comes back."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from health_check.concurrency import threads
from health_check.records import Record
from health_check.stores import Lease, Publication, Query, Store, StoreEntry, StoreError
from health_check.stores.client import (
    ANSWER_SECONDS,
    LOST_SECONDS,
    MARK_SECONDS,
    MOST_ATTEMPTS,
    MOST_TRIES,
    STUCK_SECONDS,
    StoreClient,
    SupersededError,
)
from health_check.stores.memory import MemoryStore
from tests.support.bench import SECONDS, Held, MovableClock, SharedStore, eventually
from tests.support.client import Lag
from tests.support.places import BACKEND, KEY, MAX_AGE, result_at

WARNING = "The store of the health checks cannot be used"
BACK = "The store of the health checks is back: the shelf."
QUERY = Query(key=KEY, backend=BACKEND, lease_seconds=30.0, force=True)


class Desk:
    """A store client of its own with a shared store."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = SharedStore(self.clock)
        self.gave_up: list[threading.Thread] = []
        self.client = StoreClient(lambda: self.store, self.clock, gave_up=self.note_given_up)

    def note_given_up(self) -> None:
        """Note that a step was given up."""
        self.gave_up.append(threading.current_thread())

    def lease(self) -> Lease | None:
        """Ask for the lease to run the check; None where there is none to be had."""
        entries = self.client.look([QUERY])
        return None if entries is None else entries[0].lease

    def publish(self, lease: Lease) -> list[Record | None] | None:
        """Publish a run that has just ended."""
        record = Record.after(None, result_at(self.clock.now()), max_age=MAX_AGE)
        return self.client.publish([Publication(lease=lease, record=record)])

    @contextlib.contextmanager
    def hanging(self, method: str, step: Callable[[], object] | None = None) -> Iterator[None]:
        """Have a step hang in a method of the store meanwhile."""
        with self.store.holding(method) as held:
            self.client.submit(step or (lambda: self.client.look([QUERY])))
            assert held.running.wait(SECONDS)
            yield

    def is_held(self) -> bool:
        """Tell whether the store has given a lease that was not given back."""
        return MemoryStore.look(self.store, [Query(key=KEY)])[0].held_since is not None


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A store client that comes back to a lost store far sooner than after a second."""
    monkeypatch.setattr("health_check.stores.client.RETRY_SECONDS", 0.02)
    made = Desk()
    yield made
    made.client.close()


@pytest.fixture
def _no_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a lost store stay lost."""
    monkeypatch.setattr("health_check.stores.client.RETRY_SECONDS", 1000.0)


no_retry = pytest.mark.usefixtures("_no_retry")


def refuse(*_: object) -> None:
    """Be a system that has no thread left."""
    raise RuntimeError("can't start new thread")


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of a store that cannot be used."""
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(WARNING)]


def test_call__all_calls_on_one_thread(desk: Desk) -> None:
    """The first use starts one thread, which does all that there is to do with the store, steps included."""
    lease = desk.lease()
    assert lease is not None
    assert desk.publish(lease) == [desk.store._records[KEY]]
    desk.client.release([lease])
    desk.client.submit(lambda: desk.client.look([QUERY]))
    eventually(lambda: desk.store.calls == ["look", "publish", "release", "look"])
    (thread,) = desk.store.threads
    assert thread.name == "health-check-store"


def test_mark__is_asked_for_once_a_second(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many answers there are while the store is asked, it is asked for the mark no more than once a second."""
    monkeypatch.setattr(desk.store, "mark_seconds", 2.0)
    with desk.store.holding("probe") as held:
        for _ in range(3):
            desk.client.mark()
        assert held.running.wait(SECONDS)
        for _ in range(3):
            desk.client.mark()
    desk.client.look([QUERY])  # on the same thread: what was to be asked before has been
    desk.client.mark()
    desk.client.look([QUERY])
    assert desk.store.calls.count("probe") == 1
    desk.clock.forward(MARK_SECONDS)
    desk.client.look([QUERY])
    eventually(lambda: desk.store.calls.count("probe") == 2)


def test_mark__is_asked_for_again_after_a_call_that_hangs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants to know the mark after the store was lost in such a call has it asked for again."""
    monkeypatch.setattr(desk.store, "mark_seconds", 2.0)
    with desk.hanging("probe", desk.client.mark):
        eventually(lambda: desk.client.rescue() is not None and not desk.client.up)
        eventually(lambda: desk.client.up)
        asked = desk.store.calls.count("probe")
        desk.clock.forward(3 * MARK_SECONDS)
        desk.client.mark()
        eventually(lambda: desk.store.calls.count("probe") > asked)


def test_call__store_of_one_process(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that does no I/O needs no thread; what fails in place is done without it, and logged once."""
    monkeypatch.setattr(desk.store, "shared", False)
    assert desk.client.look([Query(key=KEY)]) == [StoreEntry()]
    assert desk.store.threads == {threading.current_thread()}
    desk.store.fail(OSError("gone"), "look")
    assert [desk.client.look([QUERY]) for _ in range(2)] == [None, None]
    assert caplog.text.count("The store of the health checks failed.") == 1


@no_retry
def test_call__store_hangs(desk: Desk, caplog: pytest.LogCaptureFixture, lag: Lag) -> None:
    """All who ask meanwhile wait a quarter of a second, those after them not at all; after a second it is lost."""
    with desk.store.holding("look"), ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        assert list(pool.map(lambda _: desk.client.look([QUERY]), range(20))) == [None] * 20
        waited = time.monotonic() - began
        assert 0.9 * ANSWER_SECONDS < waited < 1.8 * ANSWER_SECONDS + lag.slack
        assert (desk.client.up, desk.client.usable) == (True, False)
        assert desk.client.look([QUERY]) is None
        assert time.monotonic() - began - waited < ANSWER_SECONDS / 2 + lag.slack
        eventually(lambda: desk.client.trouble)
        assert time.monotonic() - began > 0.9 * LOST_SECONDS
        assert desk.client.trouble == "the shelf does not answer"
        assert desk.store.calls == ["look"]
    assert warnings_of(caplog) == [
        f"{WARNING}: the shelf does not answer. Until it can, this process keeps its records in memory."
    ]


def test_call__left__comes_back_before_the_store_is_lost(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A call that takes a while is undone, what could not be given back is, and the store is used again; no word."""
    lease = desk.lease()
    assert lease is not None
    with desk.store.holding("probe"):
        desk.client.call(lambda store: store.probe(), None)
        desk.client.release([lease])
        assert desk.lease() is None, "the store is left to the call"
    eventually(lambda: desk.client.usable)
    assert desk.lease() is not None
    assert desk.store.calls == ["look", "probe", "release", "look"]
    assert caplog.messages == []


def test_call__goes_on__is_slow_and_not_lost(desk: Desk, held: Held) -> None:
    """However long a call takes, the store is there while each of its round trips is quick enough."""

    def work(store: Store) -> str:
        while not held.let_go.wait(ANSWER_SECONDS / 5):
            store.progressed()
        return "slow"

    said: list[str] = []
    desk.client.submit(lambda: said.append(desk.client.call(work, "lost")))
    end = time.monotonic() + 1.5 * LOST_SECONDS
    while time.monotonic() < end:
        threading.Event().wait(min(ANSWER_SECONDS / 5, desk.client.rescue()))
        assert desk.client.usable
    held.let_go.set()
    eventually(lambda: said)
    assert (said, desk.gave_up) == (["slow"], [])


def test_rescue__counts_what_somebody_saw_since_the_last_progress(desk: Desk) -> None:
    """Time before a round trip that came back is no silence, nor is any in which who looks could not go on himself."""
    with desk.hanging("look"):
        assert desk.client.rescue(leave=False) > 0
        desk.clock.forward(0.8 * ANSWER_SECONDS)
        desk.store.progressed()
        desk.clock.forward(0.4 * ANSWER_SECONDS)
        assert desk.client.rescue() > 0
        for _ in range(3):
            desk.clock.forward(ANSWER_SECONDS)
            assert desk.client.rescue(late=True) > 0
        desk.clock.forward(60.0)
        assert desk.client.rescue(leave=False) > 0
        assert desk.client.usable


def test_call__fails_twice__is_tried_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that was closed meanwhile, say, costs nobody anything."""
    failing = iter([OSError("closed"), StoreError("closed"), None])

    def work(store: Store) -> str:
        if (error := next(failing)) is not None:
            raise error
        return "used"

    assert desk.client.call(work, "lost") == "used"
    assert desk.client.up
    assert caplog.messages == []


@no_retry
def test_rescue__hung_step__is_given_up_once(desk: Desk) -> None:
    """Who looks after it hears of a step that hangs; the step hears of it, too, when its call comes back in the end."""
    said: list[object] = []

    def step() -> None:
        try:
            said.append(desk.client.look([QUERY]))
        except SupersededError as error:
            said.append(error)

    with desk.hanging("look", step):
        left = desk.client.rescue()
        assert 0 < left <= ANSWER_SECONDS
        assert desk.gave_up == []
        desk.clock.forward(left)
        assert [desk.client.rescue() for _ in range(2)] == [0.0, ANSWER_SECONDS]
        assert desk.gave_up == [threading.current_thread()]
        desk.client.submit(lambda: said.append(threading.current_thread()))
        eventually(lambda: said)
        assert said != list(desk.store.threads)
    eventually(lambda: len(said) == 2)
    assert isinstance(said[1], SupersededError)
    (hung,) = desk.store.threads
    hung.join(SECONDS)
    assert not hung.is_alive()
    assert len(desk.gave_up) == 1


def test_call__fails_late__is_no_news(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A call that was given up and fails in the end says nothing of the store as it is now."""
    with desk.store.holding("look"):
        assert desk.client.look([QUERY]) is None
        (old,) = desk.store.threads
        eventually(lambda: "probe" in desk.store.calls and desk.client.up)  # it was lost, and is back
        assert desk.client.call(lambda store: "used", "lost") == "used"
        desk.store.fail(StoreError("timed out"), "look")
    old.join(SECONDS)
    assert not old.is_alive()
    assert desk.client.up
    assert len(warnings_of(caplog)) == 1


@no_retry
@pytest.mark.parametrize(
    ("error", "text", "has_traceback"),
    [
        (StoreError("redis://:hunter2@cache is gone"), "redis://***@cache is gone", False),
        (OSError("password=hunter2"), "OSError: password=***", True),
        (StoreError(), "StoreError", False),
    ],
)
def test_call__store_fails(
    desk: Desk, error: Exception, text: str, has_traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a store raises, the process goes on, and says once what is wrong, without what is secret."""
    desk.store.fail(error)
    for _ in range(3):
        assert desk.client.look([QUERY]) is None
    assert desk.store.calls == ["look"] * MOST_TRIES
    assert desk.client.trouble == text
    assert (desk.client.drain(True), desk.client.draining) == (False, False), "what cannot be noted is not believed"
    assert len(warnings_of(caplog)) == 1
    assert "hunter2" not in caplog.text
    assert ("Traceback" in caplog.text) is has_traceback


def test_store__back__without_any_caller(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, lag: Lag
) -> None:
    """A store that works again is used again within a second or two; it is said once that it was lost, and is back."""
    monkeypatch.undo()  # the real second between two attempts
    caplog.set_level(logging.INFO, "health_check")
    desk.store.fail(StoreError("gone"))
    assert desk.client.look([QUERY]) is None
    eventually(lambda: "probe" in desk.store.calls)
    desk.store.recover()
    began = time.monotonic()
    eventually(lambda: desk.client.up)
    assert time.monotonic() - began < 3 + lag.slack
    assert desk.lease() is not None
    eventually(lambda: len(caplog.messages) > 1)
    assert [message.partition(":")[0] for message in caplog.messages] == [WARNING, BACK.partition(":")[0]]


def test_store__back__nobody_else_is_at_it_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came back to a store lets go of it before others use it: it is for one thread at a time."""
    closing: list[tuple[str, bool]] = []

    def close() -> None:
        closing.append((threading.current_thread().name, desk.client.up))

    monkeypatch.setattr(desk.store, "close", close)
    desk.store.fail(StoreError("gone"), "look")
    assert desk.client.look([QUERY]) is None
    eventually(lambda: desk.client.up)
    assert ("health-check-store-retry", False) in closing
    assert ("health-check-store-retry", True) not in closing


@pytest.mark.parametrize("method", ["publish", "release"])
def test_lease__cannot_be_given_back__is_later(desk: Desk, method: str) -> None:
    """The store being back, the next run is for whoever asks first, whatever it was away for."""
    lease = desk.lease()
    assert lease is not None
    desk.store.fail(StoreError("gone"))
    for _ in range(2):
        if method == "publish":
            assert desk.publish(lease) is None
        else:
            desk.client.release([lease])
    assert desk.is_held()
    desk.store.recover()
    eventually(lambda: desk.client.up and not desk.is_held())


@no_retry
def test_look__lease_comes_too_late__is_given_back(desk: Desk) -> None:
    """A lease that comes when its reader has gone on alone keeps nobody from running the check."""
    stores = iter([desk.store, SharedStore(desk.clock)])
    with contextlib.closing(StoreClient(stores.__next__, desk.clock)) as client, desk.store.holding("look"):
        assert client.look([QUERY]) is None
        assert desk.store.calls == ["look"]
    (hung,) = desk.store.threads
    hung.join(SECONDS)
    assert desk.store.calls == ["look", "release"]
    assert not desk.is_held()


def test_step__raises_or_is_slow__is_not_the_fault_of_the_store(
    desk: Desk, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """What a step does beside the store does not make that one that fails, or does not answer."""

    def fail() -> None:
        raise ZeroDivisionError

    desk.client.submit(fail)
    desk.client.submit(held.wait)
    assert held.running.wait(SECONDS)
    assert desk.client.look([QUERY]) is None
    assert desk.client.up
    held.let_go.set()
    eventually(lambda: "look" in desk.store.calls)
    assert desk.lease() is None, "the call before had it, for nobody"
    assert warnings_of(caplog) == []
    assert len(desk.store.threads) == 1


def test_call__no_thread_to_be_had(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread nobody hears of an error but who submits a step, and nothing is done late.

    Where there is none to come back to a store, whoever asks next tries again.
    """
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        assert desk.client.look([QUERY]) is None
        assert not desk.client.drain(True)
        with pytest.raises(RuntimeError, match="thread"):
            desk.client.submit(lambda: None)
    assert desk.lease() is not None
    assert desk.store.calls == ["look"]
    assert desk.client.draining is False
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        desk.store.fail(StoreError("gone"), "look")
        assert desk.client.look([QUERY]) is None
        assert not desk.client.up
    desk.client.see_to_it()
    eventually(lambda: desk.client.up)


def test_store__attempt_to_come_back_hangs__another_one_is_made(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that hangs is left alone after a while, and others are made with other stores, some at most."""
    stores: list[SharedStore] = []
    helds: list[Held] = []

    def create() -> SharedStore:
        stores.append(SharedStore(desk.clock))
        helds.append(Held())
        stores[-1].holds["probe"] = helds[-1]
        return stores[-1]

    client = StoreClient(create, desk.clock)
    stores[0].fail(StoreError("gone"), "look")
    assert client.look([QUERY]) is None
    for number in range(MOST_ATTEMPTS):
        assert helds[number].running.wait(SECONDS)
        client.see_to_it()
        assert len(stores) == number + 1
        desk.clock.forward(STUCK_SECONDS + 1)
        client.see_to_it()
    assert len(stores) == MOST_ATTEMPTS
    helds[-1].let_go.set()
    eventually(lambda: client.up)
    stores[0].fail(StoreError("too late"), "probe")
    for held in helds:
        held.let_go.set()
    retries = {thread for store in stores for thread in store.threads if thread.name == "health-check-store-retry"}
    assert len(retries) == MOST_ATTEMPTS
    for thread in retries:
        thread.join(SECONDS)
    assert client.up
    assert len(warnings_of(caplog)) == 1
    client.close()


def test_close__ends_the_thread__and_nobody_comes_to_the_store_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is closed lets its thread and connections go; who asks it later brings no second thread to it."""
    closed: list[str] = []
    monkeypatch.setattr(desk.store, "close", lambda: closed.append(threading.current_thread().name))
    with desk.hanging("look"):
        desk.client.close()
        assert desk.client.look([QUERY]) is None
    (thread,) = desk.store.threads
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert closed == ["health-check-store"]
    assert desk.client.look([QUERY]) is None
    assert desk.store.calls == ["look"]


def test_pause__no_call_is_under_way(desk: Desk, lag: Lag) -> None:
    """Between pause and go_on, as a fork needs it, nothing is done with the store; afterwards all that was asked.

    A fork goes on after a moment where a call does not end, which is of no concern once it was left.
    """
    desk.lease()
    assert desk.client.pause()
    assert not desk.client.pause(), "another fork at the same time does not end the pause of this one"
    told: list[Any] = []
    desk.client.submit(lambda: told.append(desk.client.look([QUERY])))
    assert desk.client.rescue() == ANSWER_SECONDS
    assert desk.store.calls == ["look"]
    desk.client.go_on()
    eventually(lambda: told)
    assert told[0] is not None
    assert desk.client.up
    with desk.hanging("look"):
        began = time.monotonic()
        assert not desk.client.pause()
        assert time.monotonic() - began < 1.8 * ANSWER_SECONDS + lag.slack
        assert desk.client.look([QUERY]) is None
        assert desk.client.pause()
        desk.client.go_on()
    eventually(lambda: desk.client.up)
