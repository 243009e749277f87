"""What every store promises of counts and of history: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import dataclasses

import pytest

from health_check.records import Record
from health_check.stores import Publication
from tests.support.places import ERROR, KEY, MAX_AGE, OTHER, Place, counted, look, publish, record_of, run, totals


def test_publish__without_a_lease_a_fresh_record_stays(place: Place) -> None:
    """A run without the lease counts, but its outcome does not replace a fresh record, nor make it fresh longer."""
    store = place.open()
    record = run(store, place.run())
    place.clock.forward(MAX_AGE / 2)
    entry = publish(store, place.run(ERROR))
    assert entry.accepted
    again = record_of(place.open())
    assert (again.result, again.streak, again.last_transition) == (record.result, 1, record.last_transition)
    assert again.seq > record.seq
    assert (again.totals.runs["ok"], again.totals.runs["error"]) == (1, 1)  # type: ignore[index]
    for seen in (entry, look(place.open())):
        assert seen.fresh_for == pytest.approx(MAX_AGE / 2, abs=1)


def test_publish__without_a_lease_a_stale_record_goes(place: Place) -> None:
    """A run without the lease is the record where there is none, or none that is fresh."""
    store = place.open()
    first = publish(store, place.run())
    assert first.record is not None
    place.clock.forward(MAX_AGE + 1)
    result = place.run(ERROR)
    publish(store, result)
    record = record_of(place.open())
    assert (record.result, counted(record)) == (result, 2)
    assert look(store).fresh_for == pytest.approx(MAX_AGE, abs=1)


def test_publish__unsent_runs_count(place: Place) -> None:
    """Runs that could not be told of at their time are added, with a result or without."""
    store = place.open()
    run(store, place.run())
    publish(store, unsent=totals(ok=2, error=1))
    publish(store, place.run(), unsent=totals(error=1))
    record = record_of(place.open())
    assert dict(record.totals.runs) == {"ok": 4, "warning": 0, "error": 2, "timeout": 0}
    assert counted(record) == 6
    assert record.totals.seconds == pytest.approx(1.5)


def test_publish__unsent_runs_do_not_make_it_fresh_longer(place: Place) -> None:
    """Counting changes nothing of how old the last result is."""
    store = place.open()
    run(store, place.run())
    place.clock.forward(MAX_AGE / 2)
    publish(store, unsent=totals(ok=1))
    assert look(store).fresh_for == pytest.approx(MAX_AGE / 2, abs=1)


def test_publish__unsent_runs_of_an_unknown_check(place: Place) -> None:
    """Where there is no record, mere counts do not make one."""
    entry = publish(place.open(), unsent=totals(ok=1))
    assert entry.record is None
    assert look(place.open()).record is None


def test_publish__known_record_where_all_was_lost(place: Place) -> None:
    """A store that knows nothing goes on from the record that a process knows."""
    known = a_known_record(place)
    publish(place.open(), known=known)
    record = record_of(place.open())
    assert (record.result, record.totals, record.streak) == (known.result, known.totals, known.streak)
    assert record.seq > known.seq


def test_publish__known_record_then_a_run(place: Place) -> None:
    """A run after the loss counts on top of what was known, and continues its streak."""
    known = a_known_record(place)
    publish(place.open(), place.run(), known=known)
    record = record_of(place.open())
    assert (counted(record), record.streak, record.last_transition) == (6, 6, known.last_transition)


def test_publish__known_totals_never_go_down(place: Place) -> None:
    """Of what two processes know of the same runs each count is the greater, and nothing is counted twice."""
    store = place.open()
    base = run(store, place.run())
    publish(store, known=dataclasses.replace(base, totals=totals(ok=3, error=1)))
    publish(store, known=dataclasses.replace(base, totals=totals(ok=1, error=4)))
    publish(store, known=base)
    record = record_of(place.open())
    assert dict(record.totals.runs) == {"ok": 3, "warning": 0, "error": 4, "timeout": 0}
    assert record.result == base.result


def test_publish__known_record_that_is_nothing_new(place: Place) -> None:
    """Telling what the store knows already changes nothing, not even the number of the record."""
    store = place.open()
    record = run(store, place.run())
    publish(store, known=record)
    assert record_of(place.open()) == record


def test_publish__an_older_known_record_does_not_win(place: Place) -> None:
    """The outcome of the later run stays, fresh or not."""
    store = place.open()
    old = run(store, place.run(ERROR))
    place.clock.forward(MAX_AGE + 1)
    new = run(store, place.run())
    publish(store, known=old)
    place.clock.forward(MAX_AGE + 1)
    publish(store, known=old)
    assert record_of(place.open()).result == new.result


def test_history__is_bounded_and_oldest_first(place: Place) -> None:
    """The newest results are kept, in the order of their runs; also those that did not replace the record."""
    store = place.open()
    results = []
    for _ in range(63):
        place.clock.forward(0.5)
        results.append(place.run(ERROR))
    store.publish([Publication(key=KEY, result=result, max_age=MAX_AGE) for result in results])
    history = place.open().history([KEY, OTHER])
    expected = tuple(results[-60:]) if place.keeps_history else ()
    assert history.get(KEY, ()) == expected
    assert history.get(OTHER, ()) == ()


def a_known_record(place: Place) -> Record:
    """Return what a process knows of a check that ran five times elsewhere."""
    result = place.run()
    record = None
    for _ in range(5):
        record = Record.after(record, result, max_age=MAX_AGE)
    assert record is not None
    return record
