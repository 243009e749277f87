"""What every store keeps of the past: half hours, days, changes of state and failures."""

from __future__ import annotations

import pytest

from health_check.durations import sample_of
from health_check.past import DAY, DAYS, HALF_HOUR, MOST_FAILURES, Past, Period, gapless, incidents_of, total_of
from health_check.records import Result
from health_check.stores import Key, Store
from health_check.stores.cache_past import NOTE_HOST_SECONDS
from tests.health_check.stores.test_contract import LABELS
from tests.support.bench import MovableClock
from tests.support.places import ERROR, KEY, OTHER, Place, ended, publish, result_at, run
from tests.support.places import lease_of as lease

FLEET = Key(label="Status", scope="fleet")


@pytest.fixture(autouse=True)
def _at_noon(place: Place) -> None:
    """Begin at noon: no test passes midnight unless it means to."""
    to_noon(place.clock)


def to_noon(clock: MovableClock) -> None:
    """Go on to the next noon."""
    clock.forward((DAY * 1.5 - clock.now() % DAY) % DAY)


def past_of(store: Store, key: Key = KEY) -> Past:
    """Return what a store knows of the past of a check."""
    return store.past([key]).get(key, Past())


def half_hours(store: Store, key: Key = KEY) -> list[Period]:
    """Return the half hours with runs."""
    return sorted(period for some in past_of(store, key).half_hours.values() for period in some)


def incidents(store: Store, key: Key = KEY) -> list[tuple[float, float | None, tuple[str, ...], str]]:
    """Return the incidents of a check, by when they began and ended, with hosts and messages."""
    return [
        (round(each.began, 2), None if each.ended is None else round(each.ended, 2), each.hosts, each.message)
        for some in past_of(store, key).changes.values()
        for each in incidents_of(key.label, some)
    ]


@pytest.mark.parametrize("key", [KEY, FLEET])
def test_past__is_counted_by_half_hour(place: Place, key: Key) -> None:
    """Each run is counted once, in the half hour in which it ended; all processes read that."""
    first, second = place.open(), place.open()
    noon = int(place.clock.now()) // HALF_HOUR * HALF_HOUR
    assert past_of(first, key) == Past()
    for store, messages in ((first, ()), (second, (ERROR,)), (first, (ERROR,))):
        run(store, place.run(*messages), key=key)
        place.clock.forward(1)
    place.clock.forward(HALF_HOUR)
    run(second, place.run(time_taken=0.5), key=key)
    for store in (first, second, place.open()):
        assert half_hours(store, key) == [
            Period(noon, HALF_HOUR, 1, 0, 2, 0, 0.75, 0.25, sample_of(0.25)),
            Period(noon + HALF_HOUR, HALF_HOUR, 1, 0, 0, 0, 0.5, 0.5, sample_of(0.5)),
        ]
        assert [(period.runs, period.times) for period in past_of(store, key).days] == [
            (4, sample_of(0.25) + sample_of(0.5))
        ]
        assert past_of(store, OTHER) == Past()


def test_past__what_is_not_published_is_not_counted(place: Place) -> None:
    """A result whose lease is another's by now adds nothing."""
    store = place.open()
    run(store, place.run())
    late = lease(store, force=True)
    store.release([late])
    run(store, place.run())
    assert not publish(store, place.run(ERROR), lease=ended(late))
    assert [period.runs for period in half_hours(store)] == [2]
    assert not store.past_failures([KEY]).get(KEY)


def test_past__of_any_label(place: Place) -> None:
    """A label can be any text, and its past is nobody else's."""
    store, keys = place.open(), [Key(label=label) for label in LABELS]
    for number, key in enumerate(keys):
        run(store, result_at(place.clock.now(), ERROR, time_taken=number), key=key)
    found = place.open().past([*keys, OTHER])
    assert {key: total_of(past.days).time_taken for key, past in found.items()} == dict(
        zip(keys, range(99), strict=False)
    )
    failures = store.past_failures(keys)
    assert [failure.message for key in keys for failure in failures[key]] == ["unavailable: gone"] * len(keys)


def test_incidents__begin_and_end_with_a_change(place: Place) -> None:
    """Of a change is written when and where it was, and what was wrong; a run that changes nothing adds none."""
    store = place.open()
    moments = []
    for messages in ((), (ERROR,), (ERROR,), (), (), (ERROR,)):
        place.clock.forward(600)
        moments.append(round(place.clock.now(), 2))
        run(place.open(), result_at(moments[-1], *messages))
    assert incidents(store) == [
        (moments[1], moments[3], ("here",), "unavailable: gone"),
        (moments[5], None, ("here",), "unavailable: gone"),
    ]
    assert sum(len(some) for some in past_of(store).changes.values()) == 4


def test_incidents__of_a_fleet_s_check_are_no_host_s(place: Place) -> None:
    """What is the same on all hosts is not said of the one that happened to run it."""
    store = place.open()
    run(store, place.run(ERROR), key=FLEET)
    assert [hosts for _, _, hosts, _ in incidents(store, FLEET)] == [()]


def test_failures__the_last_ones(place: Place) -> None:
    """The last failures are kept, with the trace of each."""
    store = place.open()
    moment = round(place.clock.now(), 2)
    results = [result_at(moment + number, ERROR) for number in range(MOST_FAILURES + 5)]
    for result in [*results, result_at(moment + 99)]:
        run(store, result)
    found = sorted(place.open().past_failures([KEY, OTHER])[KEY], key=lambda failure: failure.finished)
    assert [failure.finished for failure in found[-MOST_FAILURES:]] == [r.finished for r in results[-MOST_FAILURES:]]
    assert len(found) < 3 * MOST_FAILURES
    assert {(failure.host, failure.message) for failure in found} == {("here", "unavailable: gone")}


def made_up(now: float) -> list[Result]:
    """Return runs of 24 hours, each minute one, with an outage of half an hour over midnight."""
    began = int(now // 60) * 60 - DAY
    midnight = int(now // DAY) * DAY
    outage = range(midnight - 900, midnight + 900)
    return [
        result_at(float(moment), *((ERROR,) if moment in outage else ())) for moment in range(began, began + DAY, 60)
    ]


@pytest.mark.parametrize("key", [KEY, FLEET])
@pytest.mark.parametrize("ran", [False, True], ids=["before it ran", "after it ran"])
def test_add_past__shows_as_if_it_had_been_published(place: Place, key: Key, ran: bool) -> None:
    """Runs of former times can be added: they are in the past of the check, but not in its record and its counts."""
    store = place.open()
    if ran:
        run(store, place.run(), key=key)
    results = made_up(place.clock.now())
    store.add_past(key, results)
    record = run(store, place.run(), key=key)
    assert sum(record.totals.runs.values()) == 1 + ran
    past = past_of(place.open(), key)
    periods = gapless(half_hours(store, key), place.clock.now(), length=HALF_HOUR, count=48)
    assert {period.runs for period in periods[1:-1]} == {30}
    assert total_of(past.days).runs == len(results) + 1 + ran
    assert total_of(past.days).error == 30
    (incident,) = incidents(store, key)
    assert incident[1] is not None
    assert incident[1] - incident[0] == 1800
    assert len(store.past_failures([key])[key]) >= MOST_FAILURES


def test_days__half_hours_become_days_and_days_are_dropped(place: Place) -> None:
    """Of a day that is over the sums are kept, for 90 days; its incidents likewise."""
    store = place.open()
    for number in range(4):
        moment = place.clock.now()
        for minute in (0, 1, 40):
            run(store, result_at(moment + 60 * minute, *((ERROR,) if number == 0 and minute == 1 else ())))
        place.clock.forward(DAY)
    run(store, place.run())
    place.clock.forward(NOTE_HOST_SECONDS + 1)
    run(place.open(), place.run())
    days = past_of(place.open()).days
    assert [(day.length, day.ok, day.error) for day in sorted(days)] == [(DAY, 2, 1), *[(DAY, 3, 0)] * 3, (DAY, 2, 0)]
    assert {day.times for day in sorted(days)[:4]} == {sample_of(0.25) * 2}
    assert len(incidents(store)) == 1
    place.clock.forward(DAY)
    run(store, place.run())
    place.clock.forward((DAYS - 4) * DAY)
    run(store, place.run())
    past = past_of(place.open())
    shown = gapless(past.days, place.clock.now(), length=DAY, count=DAYS)
    assert [day.runs for day in shown if day.runs][::3] == [3, 1]
    assert total_of(shown).error == 0


@pytest.mark.parametrize("step", [-7200.0, 7200.0], ids=["back", "forward"])
def test_past__while_the_clock_is_set(place: Place, step: float) -> None:
    """Each run is counted once, whatever the clock says."""
    store = place.open()
    for _ in range(2):
        run(store, place.run())
        place.clock.forward(step)
    run(store, place.run())
    place.clock.forward(-2 * min(0.0, step))
    assert total_of(past_of(store).days).runs == 3
