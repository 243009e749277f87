"""What every store promises, whatever it keeps records in: leases, freshness, and what is published when."""

from __future__ import annotations

import math

import pytest

from health_check.records import State
from health_check.stores import Key, Lease, Publication, Query, StoreEntry
from tests.support.places import (
    BACKEND,
    ERROR,
    KEY,
    MAX_AGE,
    OTHER,
    Place,
    SteppingClock,
    ask,
    lease_of,
    look,
    publish,
    record_of,
    result_at,
    run,
)

LABELS = [
    "Database(alias='replica')",
    "Größe 数据库 🩺",
    "two\nlines\tand a tab",
    "x" * 500,
    "ü" * 500,
    " leading, trailing ",
    "'; DROP TABLE records; --",
    "100% _ ?",
]


def test_look__nothing_known(place: Place) -> None:
    """Of a check that never ran nothing is known, and a lease that is not asked for is not given."""
    assert look(place.open()) == StoreEntry(record=None, fresh_for=-math.inf, lease=None, held_since=None)
    assert ask(place.open()).lease is not None


def test_look__grants_the_lease_once(place: Place) -> None:
    """While one has the lease nobody else gets it, but is told since when it is held; others' are to be had."""
    first, second = place.open(), place.open()
    since = place.clock.now()
    lease = lease_of(first)
    for entry in (ask(second), ask(second, force=True), look(second), ask(first)):
        assert entry.lease is None
        assert entry.held_since == pytest.approx(since, abs=5)
    other = lease_of(second, OTHER)
    assert (lease.key, other.key) == (KEY, OTHER)
    assert lease.token != other.token


def test_look__answers_in_the_order_of_the_queries(place: Place) -> None:
    """Each query has its answer, whether or not it asks for a lease."""
    store = place.open()
    record = run(store, place.run())
    queries = [
        Query(key=OTHER, backend=BACKEND, lease_seconds=30.0),
        Query(key=KEY, backend=BACKEND, lease_seconds=30.0),
        Query(key=Key(label="Mail"), backend=BACKEND),
    ]
    to_run, known, unknown = place.open().look(queries)
    assert (to_run.record, known.record, unknown.record) == (None, record, None)
    assert [entry.lease is not None for entry in (to_run, known, unknown)] == [True, False, False]


@pytest.mark.parametrize("step", [-120.0, 120.0], ids=["back", "forward"])
def test_publish__while_the_clock_is_set(place: Place, step: float) -> None:
    """No result is fresh for longer than it may be, though it ended at a time that is yet to come."""
    clock = SteppingClock()
    store = place.open(clock)
    lease, result = lease_of(store), result_at(clock.now())
    clock.step = step
    published = publish(store, result, lease=lease)
    assert published.accepted
    assert max(published.fresh_for, look(store).fresh_for) <= MAX_AGE


def test_publish__makes_the_record_readable(place: Place) -> None:
    """What was published under the lease is read by all, with the counts, and the lease is free again."""
    first, second = place.open(), place.open()
    result = place.run(ERROR, time_taken=0.3)
    published = publish(first, result, lease=lease_of(first))
    entry = look(second)
    assert published.accepted
    assert entry.record is not None
    assert entry.record == published.record
    assert entry.record.result == result
    assert entry.record.result.state is State.ERROR
    assert (entry.record.seq, entry.record.streak) == (1, 1)
    assert entry.record.max_age == pytest.approx(MAX_AGE)
    assert dict(entry.record.totals.runs) == {"ok": 0, "warning": 0, "error": 1, "timeout": 0}
    assert entry.record.totals.durations == {0.5: 1}
    assert published.fresh_for == pytest.approx(MAX_AGE, abs=1)
    assert (entry.lease, entry.held_since) == (None, None)


def test_look__fresh_is_not_given_again(place: Place) -> None:
    """A fresh record is not to be replaced, until it is so no longer; then its check has to run again."""
    first, second = place.open(), place.open()
    record = run(first, place.run())
    place.clock.forward(MAX_AGE - 2)
    entry = ask(second)
    assert (entry.record, entry.lease) == (record, None)
    assert 0 < entry.fresh_for <= 2
    place.clock.forward(3)
    entry = ask(second)
    assert entry.record == record
    assert entry.lease is not None
    assert -2 < entry.fresh_for < 0


def test_look__force(place: Place) -> None:
    """A forced run gets the lease of a fresh record, but nobody takes it from its holder."""
    store = place.open()
    run(store, place.run())
    assert ask(store, force=True).lease is not None
    assert ask(place.open(), force=True).lease is None


def test_look__result_of_another_backend_is_not_fresh(place: Place) -> None:
    """Where another check has taken over the label, it runs although there is a fresh record."""
    store = place.open()
    run(store, place.run(backend="tests.Former"))
    entry = ask(place.open())
    assert entry.record is not None
    assert entry.record.result.backend == "tests.Former"
    assert entry.lease is not None


def test_publish__max_age_zero_is_never_fresh(place: Place) -> None:
    """A record with no max_age is known, but every reading has its check run."""
    store = place.open()
    record = run(store, place.run(), max_age=0)
    entry = ask(place.open())
    assert entry.record == record
    assert entry.fresh_for <= 0
    assert entry.lease is not None


def test_publish__several_runs_make_one_story(place: Place) -> None:
    """Each run counts, and the record says what the runs in a row amount to."""
    store = place.open()
    first = run(store, place.run())
    place.clock.forward(1)
    run(store, place.run(ERROR))
    place.clock.forward(1)
    last = place.run(ERROR)
    record = run(place.open(), last)
    assert (record.seq, record.streak, record.last_success) == (3, 2, first.result.finished)
    assert record.last_transition == pytest.approx(last.finished - 1, abs=0.5)
    assert dict(record.totals.runs) == {"ok": 1, "warning": 0, "error": 2, "timeout": 0}
    assert record.totals.seconds == pytest.approx(0.75)


def test_publish__outrun_lease(place: Place) -> None:
    """A result that comes after its lease went to somebody else is dropped, and does that one no harm."""
    first, second = place.open(), place.open()
    record = run(first, place.run())
    late = lease_of(first, force=True)
    first.release([late])
    in_force = lease_of(second, force=True)
    entry = publish(first, place.run(ERROR), lease=late)
    assert not entry.accepted
    assert record_of(second) == record
    assert publish(second, place.run(), lease=in_force).accepted
    assert not publish(second, place.run(ERROR), lease=in_force).accepted
    assert record_of(first).totals.runs["error"] == 0  # type: ignore[index]


def test_publish__invented_lease(place: Place) -> None:
    """Nobody publishes under a lease that was never granted."""
    store = place.open()
    store.probe()
    entry = publish(store, place.run(), lease=Lease(key=KEY, token="invented"))
    assert not entry.accepted
    assert look(store).record is None
    assert store.history([KEY]).get(KEY, ()) == ()


def test_release__makes_the_lease_free(place: Place) -> None:
    """A lease that is given back is to be had; giving back one that is no longer in force changes nothing."""
    first, second = place.open(), place.open()
    late, other = lease_of(first), lease_of(first, OTHER)
    first.release([late, other])
    in_force = lease_of(second)
    first.release([late])
    first.release([])
    assert ask(first).lease is None
    assert publish(second, place.run(), lease=in_force).accepted
    assert ask(first, OTHER).lease is not None


@pytest.mark.parametrize("label", LABELS)
def test_labels__any_text(place: Place, label: str) -> None:
    """A label can be any text, and none is taken for another."""
    store, key = place.open(), Key(label=label)
    record = run(store, place.run(), key=key)
    assert look(place.open(), key).record == record
    assert look(place.open(), Key(label=f"{label}!")).record is None
    assert look(place.open(), Key(label=label.upper() if label != label.upper() else "other")).record is None


def test_publish__several_checks_at_once(place: Place) -> None:
    """Publications are answered in their order, each by what holds after it, also two of one check."""
    store = place.open()
    lease = lease_of(store)
    publications = [
        Publication(key=KEY, lease=lease, result=place.run(), max_age=MAX_AGE),
        Publication(key=OTHER, result=place.run(ERROR), max_age=MAX_AGE),
        Publication(key=KEY, result=place.run(ERROR), max_age=MAX_AGE),
        Publication(key=OTHER, lease=Lease(key=OTHER, token="invented"), result=place.run(), max_age=MAX_AGE),
    ]
    entries = store.publish(publications)
    assert [entry.accepted for entry in entries] == [True, True, True, False]
    seen = place.open().look([Query(key=KEY), Query(key=OTHER)])
    assert [entry.record for entry in seen] == [entries[2].record, entries[1].record]
    assert [sum(entry.record.totals.runs.values()) for entry in seen if entry.record] == [2, 1]


def test_close__the_next_use_opens_again(place: Place) -> None:
    """A store that was closed works on, and knows what it knew."""
    store = place.open()
    record = run(store, place.run())
    store.close()
    store.close()
    assert look(store).record == record
    assert store.describe()


def test_generation__is_the_same_for_all(place: Place) -> None:
    """As long as nothing is lost, all processes see one life of the store, and when it is settled."""
    first, second = place.open(), place.open()
    first.probe()
    second.probe()
    assert first.generation == second.generation
    assert (first.generation is not None) is first.shared
    moment = place.clock.now() + 3
    first.settle_at(moment)
    second.probe()
    assert second.settled_at == (moment if second.shared else 0.0)
