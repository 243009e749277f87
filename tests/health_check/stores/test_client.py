"""The store client: all I/O on one thread, nobody waits for it for long, and nothing is lost or counted twice."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from health_check.concurrency.futures import Future
from health_check.concurrency.timers import Timers
from health_check.records import Message
from health_check.stores import SETTLE_SECONDS, Key, Lease, Publication, Query, StoreEntry, StoreError
from health_check.stores.client import ANSWER_SECONDS, MOST_STUCK, NO_STORE, STUCK_SECONDS, StoreClient
from health_check.stores.memory import MemoryStore
from tests.support.bench import SECONDS, MovableClock, SharedStore, eventually
from tests.support.places import BACKEND, ERROR, KEY, MAX_AGE, result_at

FREE = Lease(key=KEY, token=NO_STORE)
WARNING = "The store of the health checks cannot be used"


class Counter:
    """A store client of its own with a shared store, and what it is told; where runs are reported and counted."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = SharedStore(self.clock)
        self.timers = Timers(self.clock)
        self.adopted: list[tuple[Key, StoreEntry]] = []
        self.store_clients: list[StoreClient] = []
        self.store_client = self.open()

    def open(self) -> StoreClient:
        """Return one more store client, as another process would have one."""
        store_client = StoreClient(
            lambda: self.store, self.clock, self.timers, lambda *known: self.adopted.append(known)
        )
        self.store_clients.append(store_client)
        return store_client

    def ask(self, store_client: StoreClient | None = None) -> StoreEntry:
        """Return what is known, with the lease to run the check."""
        told: Future[list[StoreEntry]] = Future()
        (store_client or self.store_client).look(
            [Query(key=KEY, backend=BACKEND, lease_seconds=30.0, force=True)], told.set_result
        )
        assert told.wait(SECONDS)
        return told.result()[0]

    def publish(self, *messages: Message, lease: Lease | None, store_client: StoreClient | None = None) -> StoreEntry:
        """Tell of a run that has just ended."""
        told: Future[StoreEntry] = Future()
        result = result_at(self.clock.now(), *messages)
        publication = Publication(key=KEY, lease=lease, result=result, max_age=MAX_AGE)
        (store_client or self.store_client).publish(publication, told.set_result)
        assert told.wait(SECONDS)
        return told.result()

    def run(self, *messages: Message, store_client: StoreClient | None = None) -> StoreEntry:
        """Have the check run."""
        return self.publish(*messages, lease=self.ask(store_client).lease, store_client=store_client)

    def stored(self) -> StoreEntry:
        """Return what the store itself knows."""
        return MemoryStore.look(self.store, [Query(key=KEY, backend=BACKEND)])[0]

    def stored_runs(self) -> int:
        """Return how many runs the store has counted."""
        record = self.stored().record
        return sum(record.totals.runs.values()) if record is not None else 0

    def wait_for_tick(self) -> None:
        """Wait until the store was seen to once more, and that is over."""
        for _ in range(2):
            count = self.store.calls.count("probe")
            eventually(lambda count=count: self.store.calls.count("probe") > count)  # type: ignore[misc]


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """A store client that sees to its store far more often than once a second."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", 0.02)
    made = Counter()
    yield made
    for store_client in made.store_clients:
        store_client.close()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of a store that cannot be used."""
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(WARNING)]


def test_ask__all_calls_on_one_thread(counter: Counter) -> None:
    """The first use starts one thread, which does all that there is to do with the store."""
    before = set(threading.enumerate())
    assert counter.store.calls == []
    for _ in range(3):
        assert counter.run().accepted
    counter.ask()
    counter.store_client.forget([KEY])
    counter.wait_for_tick()
    (thread,) = counter.store.threads
    assert thread.name == "health-check-store"
    assert thread not in before
    assert threading.current_thread() not in counter.store.threads


def test_ask__store_of_one_process__is_called_in_place(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does no I/O needs no thread."""
    monkeypatch.setattr(counter.store, "shared", False)
    told: list[object] = []
    counter.store_client.look([Query(key=KEY)], told.append)
    assert told == [[StoreEntry()]]
    assert counter.store.threads == {threading.current_thread()}


def test_ask__store_of_one_process__fails(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What fails in place is done without the store, and logged once."""
    monkeypatch.setattr(counter.store, "shared", False)
    counter.store.fail(OSError("gone"), "look")
    assert [counter.ask().lease for _ in range(2)] == [FREE] * 2
    assert caplog.text.count("The store of the health checks failed.") == 1


def test_look__store_hangs__goes_on_alone(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """The first reader waits a quarter of a second, those after it not at all; that is said once."""
    with counter.store.holding("look") as held:
        began = time.monotonic()
        entry = counter.ask()
        assert 0.9 * ANSWER_SECONDS < time.monotonic() - began < SECONDS / 4
        assert entry.lease == FREE
        assert held.running.is_set()
        assert counter.store_client.trouble == "the shelf does not answer"
        told: list[list[StoreEntry]] = []
        counter.store_client.look([Query(key=KEY, lease_seconds=5.0)], told.append)
        counter.store_client.look([Query(key=KEY)], told.append)
        assert [[entry.lease for entry in entries] for entries in told] == [[FREE], [None]]
    eventually(lambda: counter.store_client.up)
    assert warnings_of(caplog) == [
        f"{WARNING}: the shelf does not answer. Until it can, this process goes on from memory."
    ]


def test_look__readers_at_once__hear_of_it_together(counter: Counter) -> None:
    """Readers that queue behind a call that hangs do not wait for their own quarter of a second each."""
    told: list[float] = []
    with counter.store.holding("look"):
        began = time.monotonic()
        for _ in range(20):
            counter.store_client.look([Query(key=KEY)], lambda entries: told.append(time.monotonic() - began))
        eventually(lambda: len(told) == 20)
    assert max(told) < SECONDS / 4


@pytest.mark.parametrize(
    ("error", "text", "has_traceback"),
    [
        (StoreError("redis://:hunter2@cache is gone"), "redis://***@cache is gone", False),
        (OSError("password=hunter2"), "OSError: password=***", True),
        (StoreError(), "StoreError", False),
    ],
)
def test_look__store_fails__goes_on_alone(
    counter: Counter, error: Exception, text: str, has_traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a store raises, the process goes on, and says what is wrong without what is secret."""
    counter.store.fail(error)
    assert counter.ask().lease == FREE
    eventually(lambda: counter.store_client.trouble == text)
    assert "hunter2" not in caplog.text
    assert ("Traceback" in caplog.text) is has_traceback


def test_store__back__without_any_reader(
    counter: Counter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that works again is used again within a second or two, and that is said."""
    monkeypatch.undo()  # the real second between two looks
    caplog.set_level(logging.INFO, "health_check")
    counter.store.fail(StoreError("gone"))
    counter.ask()
    eventually(lambda: not counter.store_client.up)
    counter.store.recover()
    began = time.monotonic()
    eventually(lambda: counter.store_client.up)
    assert time.monotonic() - began < 4
    eventually(lambda: caplog.messages[-1] == "The store of the health checks is back: the shelf.")
    assert counter.ask().lease != FREE


def fail(counter: Counter) -> None:
    """Publish to a store that refuses."""
    counter.store.fail(StoreError("gone"), "publish")
    assert counter.run().record is not None


def hang_and_fail(counter: Counter) -> None:
    """Publish to a store that hangs, and refuses in the end."""
    with counter.store.holding("publish"):
        counter.run()
        counter.store.fail(StoreError("gone"), "publish")


def hang_and_succeed(counter: Counter) -> None:
    """Publish to a store that hangs, and takes it in the end."""
    with counter.store.holding("publish"):
        counter.run()


@pytest.mark.parametrize("publish", [fail, hang_and_fail, hang_and_succeed])
def test_publish__missed_by_the_store__is_counted_once(counter: Counter, publish: Callable[[Counter], None]) -> None:
    """A run that the store missed is counted when it is back; one that it took after all not again."""
    counter.run()
    publish(counter)
    counter.store.recover()
    eventually(lambda: counter.store_client.up and counter.stored_runs() == 2)
    counter.wait_for_tick()
    assert counter.stored_runs() == 2
    assert counter.run().accepted
    assert counter.stored_runs() == 3


def test_publish__alone__shows_the_run(counter: Counter) -> None:
    """While the store is down, this process shows what its own runs find, fresh for as long as ever."""
    first = counter.run().record
    counter.store.fail(StoreError("gone"))
    entry = counter.publish(ERROR, lease=FREE)
    assert first is not None
    assert entry.record is not None
    assert entry.record.result.messages == (ERROR,)
    assert entry.record.seq == first.seq + 1
    assert entry.record.last_success == first.result.finished
    assert entry.fresh_for == 10.0
    assert not counter.store_client.up


def test_publish__only_publishing_fails__is_said_once(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """A store that can be read but not written, on a full disk say, is down until it can be written."""
    caplog.set_level(logging.INFO, "health_check")
    counter.store.fail(StoreError("the disk is full"), "publish")
    counter.run()
    counter.wait_for_tick()
    counter.wait_for_tick()
    assert not counter.store_client.up
    counter.store.recover()
    eventually(lambda: len(caplog.messages) > 1)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        WARNING,
        "The store of the health checks is back",
    ]
    assert counter.stored_runs() == 1


def test_lease__given_too_late__is_given_back(counter: Counter) -> None:
    """A lease that comes when its reader has gone on alone keeps nobody from running the check."""
    with counter.store.holding("look"):
        assert counter.ask().lease == FREE
        assert "release" not in counter.store.calls
    eventually(lambda: "release" in counter.store.calls)
    eventually(lambda: counter.stored().held_since is None)


def test_lease__of_a_run_published_alone__is_given_back(counter: Counter) -> None:
    """The store being back, the next run is for whoever asks first."""
    lease = counter.ask().lease
    counter.store.fail(StoreError("gone"), "publish", "release")
    counter.publish(lease=lease)
    assert counter.stored().held_since is not None
    counter.store.recover()
    eventually(lambda: counter.stored().held_since is None)


def test_release__while_down__is_done_later(counter: Counter) -> None:
    """A lease that cannot be given back at once is as soon as that is possible; a lease of our own never."""
    lease = counter.ask().lease
    assert lease is not None
    counter.store.fail(StoreError("gone"))
    counter.ask()
    counter.store_client.release([lease, FREE])
    assert counter.stored().held_since is not None
    counter.store.recover()
    eventually(lambda: counter.stored().held_since is None)


def test_adopt__hears_what_the_store_knows_then(counter: Counter) -> None:
    """What is shown from then on has the totals of all processes."""
    counter.run()
    counter.clock.forward(MAX_AGE + 1)
    counter.store.fail(StoreError("gone"))
    counter.run(ERROR)
    assert counter.adopted == []
    counter.store.recover()
    eventually(lambda: counter.adopted)
    ((key, entry),) = counter.adopted
    assert key == KEY
    assert entry.record is not None
    assert entry.record.result.messages == (ERROR,)
    assert sum(entry.record.totals.runs.values()) == 2


def test_done__raises__is_not_the_fault_of_the_store(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of who is told is logged, and the next call is made as ever."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    counter.store_client.look([Query(key=KEY)], fail)
    assert counter.ask().lease != FREE
    assert counter.store_client.up
    assert "could not be used" in caplog.text
    assert len(counter.store.threads) == 1


def test_done__slow__is_not_the_fault_of_the_store(
    counter: Counter, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """A log handler that sends mail, say, does not make the store one that does not answer."""
    inside = threading.Event()

    def take_long(_: object) -> None:
        inside.set()
        gate.wait(SECONDS)

    counter.store_client.look([Query(key=KEY)], take_long)
    assert inside.wait(SECONDS)
    told = threading.Event()
    counter.store_client.look([Query(key=KEY)], lambda _: told.set())
    told.wait(2 * ANSWER_SECONDS)
    gate.set()
    assert told.wait(SECONDS)
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("what", ["health_check.stores.worker.start", "health_check.concurrency.timers.threads.start"])
def test_ask__no_thread_to_be_had__goes_on(counter: Counter, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Without a thread for the store, or for its deadline, no reader hears of an error; later there is one."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(what, refuse)
        counter.ask()
    eventually(lambda: counter.ask().lease not in (FREE, None))


def test_close__ends_the_thread(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store client that is closed lets its thread and the store's connection go."""
    closed = threading.Event()
    monkeypatch.setattr(counter.store, "close", closed.set)
    counter.ask()
    (thread,) = counter.store.threads
    counter.store_client.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert closed.is_set()


def test_close__used_again__never_two_threads_at_one_store(counter: Counter) -> None:
    """Who asks a store client that was just closed, as when settings change, brings no second thread to it."""
    stores: list[SharedStore] = []

    def create() -> SharedStore:
        stores.append(SharedStore(counter.clock))
        return stores[-1]

    store_client = StoreClient(create, counter.clock, counter.timers, lambda *_: None)
    counter.store_clients.append(store_client)
    with stores[0].holding("look") as held:
        store_client.look([Query(key=KEY)], lambda _: None)
        assert held.running.wait(SECONDS)
        store_client.close()
        told = threading.Event()
        store_client.look([Query(key=KEY)], lambda _: told.set())
        assert told.wait(SECONDS)
        assert [len(store.threads) for store in stores if store.threads] in ([1], [1, 1])


def test_loss__what_processes_know_is_brought_back(counter: Counter) -> None:
    """After a loss the totals are those of whoever knows most, and not complete before all had the time to say so."""
    other = counter.open()
    counter.run()
    counter.run(store_client=other)
    counter.run()
    settled = [counter.store_client.settled]
    counter.store.lose()
    assert counter.stored_runs() == 0
    eventually(lambda: counter.stored_runs() == 3)
    for seconds in (0, SETTLE_SECONDS - 1, 1.1):
        counter.clock.forward(seconds)
        settled.append(counter.store_client.settled)
    assert settled == [True, False, False, True]
    assert counter.run(store_client=other).accepted
    assert counter.stored_runs() == 4


def test_loss__while_down__nothing_is_lost_nor_counted_twice(counter: Counter) -> None:
    """Two processes that went on alone bring what both knew once, and what each counted."""
    other = counter.open()
    counter.run()
    counter.ask(other)
    counter.store.fail(StoreError("gone"))
    counter.run()
    for _ in range(2):
        counter.run(store_client=other)
    counter.store.lose()
    counter.store.recover()
    eventually(lambda: counter.store_client.up and other.up)
    assert counter.stored_runs() == 4


def test_loss__found_by_a_run__counts_from_what_is_known(counter: Counter) -> None:
    """The first to publish after a loss goes on from the record it knows, before anything else is brought back."""
    for _ in range(2):
        counter.run()
    lease = counter.ask().lease
    with counter.store.holding("probe") as held:
        assert held.running.wait(SECONDS)
        counter.store.lose()
        held.let_go.set()
        entry = counter.publish(lease=None if lease is None else FREE)
    assert entry.record is not None
    assert sum(entry.record.totals.runs.values()) == 3
    assert entry.record.seq >= 3


def test_loss__others_were_first__what_is_known_is_brought_back(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A younger record in a store that began anew does not make this process forget the older runs."""
    monkeypatch.setattr("health_check.stores.worker.TICK_SECONDS", 1000.0)
    store_client = counter.open()
    for _ in range(3):
        counter.run(store_client=store_client)
    monkeypatch.undo()
    with counter.store.holding("probe") as held:
        counter.store.lose()
        result = result_at(counter.clock.now())
        MemoryStore.publish(counter.store, [Publication(key=KEY, result=result, max_age=MAX_AGE)])
        entry = counter.ask(store_client)
        assert entry.record is not None
        assert entry.record.seq == 1
        held.let_go.set()
    eventually(lambda: counter.stored_runs() == 3)
    assert not store_client.settled


def test_loss__forgotten_checks_are_not_brought_back(counter: Counter) -> None:
    """What nobody reads any more is not kept for ever."""
    counter.run()
    counter.store_client.forget([KEY])
    eventually(lambda: counter.stored_runs() == 0)
    counter.store.lose()
    counter.wait_for_tick()
    counter.wait_for_tick()
    assert counter.stored_runs() == 0


def test_hang__for_ever__another_thread_takes_over(counter: Counter) -> None:
    """A call that does not return is left alone after a while, and another thread goes on; some times at most."""
    with contextlib.ExitStack() as stack:
        for number in range(1, MOST_STUCK + 2):
            stack.enter_context(counter.store.holding("look"))
            assert counter.ask().lease == FREE
            assert len(counter.store.threads) == number
            counter.store_client.look([Query(key=KEY)], lambda _: None)
            assert not counter.store_client.up
            counter.clock.forward(STUCK_SECONDS + 1)
            counter.store_client.look([Query(key=KEY)], lambda _: None)  # who asks finds that it hangs
            if number <= MOST_STUCK:
                eventually(lambda: counter.store_client.up)
        threading.Event().wait(0.1)
        assert not counter.store_client.up
        assert len(counter.store.threads) == MOST_STUCK + 1
    eventually(lambda: counter.store_client.up)
    eventually(lambda: sum(thread.is_alive() for thread in counter.store.threads) == 1)


def test_hang__ends_late__does_not_harm_the_successor(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """A call that was left alone and fails in the end says nothing of the store as it is now."""
    with counter.store.holding("look"):
        counter.ask()
        (old,) = counter.store.threads
        counter.clock.forward(STUCK_SECONDS + 1)
        counter.ask()
        eventually(lambda: counter.store_client.up)
        counter.store.fail(StoreError("timed out"), "look")
    old.join(SECONDS)
    assert not old.is_alive()
    assert len(warnings_of(caplog)) == 1


def test_pause__no_call_is_under_way(counter: Counter) -> None:
    """Between pause and go_on, as a fork needs it, nothing is done with the store; afterwards all that was asked."""
    counter.ask()
    counter.store_client.pause()
    calls = len(counter.store.calls)
    told = threading.Event()
    counter.store_client.look([Query(key=KEY)], lambda _: told.set())
    assert not told.wait(0.1)
    assert len(counter.store.calls) == calls
    counter.store_client.go_on()
    assert told.wait(SECONDS)
    assert counter.store_client.up


def test_pause__store_hangs__does_not_wait_for_ever(counter: Counter) -> None:
    """A fork goes on after a moment where a call does not end, and going on harms nothing then."""
    with counter.store.holding("look") as held:
        counter.store_client.look([Query(key=KEY)], lambda _: None)
        assert held.running.wait(SECONDS)
        began = time.monotonic()
        counter.store_client.pause()
        assert time.monotonic() - began < SECONDS / 4
        counter.store_client.go_on()
    eventually(lambda: counter.store_client.up and counter.ask().lease not in (FREE, None))


def test_pause__two_forks_at_once(counter: Counter) -> None:
    """Of two threads that fork at the same time none leaves the store locked."""
    counter.ask()
    counter.store_client.pause()
    counter.store_client.pause()
    counter.store_client.go_on()
    counter.store_client.go_on()
    told = threading.Event()
    counter.store_client.look([Query(key=KEY)], lambda _: told.set())
    assert told.wait(SECONDS)
    assert counter.store_client.up
