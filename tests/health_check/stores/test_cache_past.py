"""The past of a fleet: of all hosts together, whichever reads it, also of those that are gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from health_check.monitor.history import History, HistoryReader
from health_check.past import DAY, HALF_HOUR, total_of
from health_check.stores import Key
from health_check.stores.cache import DjangoCacheStore
from health_check.stores.cache_past import HOST_SECONDS, LATE_SECONDS, NOTE_HOST_SECONDS
from tests.health_check.stores.test_contract_past import to_noon
from tests.support.bench import MovableClock, Worker, defined
from tests.support.hosts import FLEET, on, run_now
from tests.support.places import ERROR, KEY, result_at, run

pytestmark = pytest.mark.usefixtures("own_cache")

PODS = 40


@pytest.fixture(autouse=True)
def _at_noon(clock: MovableClock) -> None:
    """Begin at noon."""
    to_noon(clock)


def fail(store: DjangoCacheStore, clock: MovableClock, key: Key = KEY) -> None:
    """Have a check fail on a host."""
    run(store, result_at(clock.now(), ERROR), key=key)


def runs_by_day(store: DjangoCacheStore, key: Key = KEY) -> list[int]:
    """Return how many runs of a check there were on each day with runs."""
    return [day.runs for day in sorted(store.past([key])[key].days)]


def names_in(store: DjangoCacheStore, sign: str) -> list[str]:
    """Return the keys of the cache that have this in their names and have not expired."""
    assert store._cache is not None
    return [name for name in store._cache._cache if sign in name]  # type: ignore[attr-defined]


def test_past__of_all_hosts(clock: MovableClock) -> None:
    """Whichever host reads the past, it is that of all hosts; a check of the fleet has one past."""
    hosts = [on(host, clock) for host in "abc"]
    for store in hosts:
        run_now(store, clock)
        fail(store, clock)
        run_now(store, clock, FLEET)
    for store in [*hosts, on("d", clock)]:
        past = store.past([KEY, FLEET])
        assert [(day.ok, day.error) for day in past[KEY].days] == [(3, 3)]
        assert [(day.ok, day.error) for day in past[FLEET].days] == [(3, 0)]
        assert {place: total_of(some).runs for place, some in past[KEY].half_hours.items()} == dict.fromkeys("abc", 2)
        assert list(past[FLEET].half_hours) == [""]


def test_days__of_pods_that_come_and_go(clock: MovableClock) -> None:
    """Each day other hosts run checks: their runs are in the days of the site, and nothing else is left of them."""
    for day in range(4):
        for pod in range(PODS):
            run_now(on(f"pod-{day}-{pod}", clock), clock)
            clock.forward(NOTE_HOST_SECONDS)
        clock.forward(DAY - PODS * NOTE_HOST_SECONDS)
    last = on("last", clock)
    run_now(last, clock)
    assert runs_by_day(last) == [PODS] * 4 + [1]
    assert len(last._hosts) <= 2 * PODS + 1
    assert len(names_in(last, last._days_key(KEY))) == 1


def test_days__are_added_up_once_by_one_host(clock: MovableClock) -> None:
    """However often a day is added up, and by however many hosts, each run is counted once; not before it is over."""
    hosts = [on(host, clock) for host in "ab"]
    for store in hosts:
        run_now(store, clock)
    clock.forward(DAY / 2 + LATE_SECONDS - 60)
    run_now(hosts[0], clock)
    assert names_in(hosts[0], hosts[0]._days_key(KEY)) == []
    for _ in range(3):
        clock.forward(NOTE_HOST_SECONDS + 1)
        for store in hosts:
            assert store._cache is not None
            store._cache.delete(store._named(f"tidied:{int(clock.now() // DAY)}"))
            run_now(store, clock)
        assert len(names_in(hosts[0], hosts[0]._days_key(KEY))) == 1
        assert runs_by_day(hosts[0])[0] == 2
    assert runs_by_day(hosts[1]) == [2, 7]


def test_days__of_a_day_without_runs(clock: MovableClock) -> None:
    """A day is added up as well where nothing ran on the day after it."""
    run_now(on("a", clock), clock)
    clock.forward(2 * DAY - HALF_HOUR)
    later = on("b", clock)
    run_now(later, clock)
    assert runs_by_day(later) == [1, 1]


@pytest.fixture
def worker(clock: MovableClock) -> Iterator[Worker]:
    """A process on the host a."""
    made = Worker(clock, lambda: on("a", clock))
    yield made
    made.close()


def history_of(worker: Worker, clock: MovableClock, label: str = KEY.label) -> History:
    """Return what a process on the host a shows, whose check is ok."""
    definition = defined(lambda check: None, name=label, max_age=0)
    return HistoryReader(worker.store_client).history([worker.read(definition)])


def test_incidents__of_several_hosts_are_one(clock: MovableClock, worker: Worker) -> None:
    """Hosts that fail at one time are in one incident, which ends when the last of them is ok."""
    hosts = {host: on(host, clock) for host in "bc"}
    began = clock.now()
    for store in hosts.values():
        fail(store, clock)
        clock.forward(20)
    run_now(hosts["b"], clock)
    (incident,) = history_of(worker, clock).incidents
    assert (incident.hosts, incident.ended) == (("b", "c"), None)
    clock.forward(60)
    run_now(hosts["c"], clock)
    (incident,) = history_of(worker, clock).incidents
    assert (incident.began, incident.ended) == pytest.approx((began, clock.now()), abs=1)
    assert (incident.label, incident.hosts, incident.message) == (KEY.label, ("b", "c"), "unavailable: gone")


def test_incidents__end_with_a_host_that_is_gone(clock: MovableClock, worker: Worker) -> None:
    """A host that was gone while it failed is in no incident for ever: that ends with its last half hour."""
    began = clock.now()
    for _ in range(3):
        fail(on("pod", clock), clock)
        clock.forward(1200)
    ended = (began + 2400) // HALF_HOUR * HALF_HOUR + HALF_HOUR
    clock.forward(HOST_SECONDS)
    for days in range(5):
        (incident,) = history_of(worker, clock).incidents
        assert (round(incident.began), incident.ended, incident.hosts) == (round(began), ended, ("pod",)), days
        clock.forward(DAY)
        run_now(on("a", clock), clock, Key(label="other"))


def test_incidents__agree_with_the_record(clock: MovableClock, worker: Worker) -> None:
    """A change that was lost, as with a key that a cache dropped, leaves no incident open, and hides none."""
    here = on("a", clock)
    fail(here, clock)
    clock.forward(60)
    (incident,) = history_of(worker, clock).incidents
    assert incident.ended == pytest.approx(clock.now(), abs=1)
    other = on("b", clock)
    fail(other, clock, Key(label="second"))
    assert other._cache is not None
    other._cache.delete(other._day_key(Key(label="second"), int(clock.now() // DAY)))
    (incident,) = history_of(worker, clock, "second").incidents
    assert (incident.hosts, incident.ended, incident.message) == (("b",), None, "unavailable: gone")
