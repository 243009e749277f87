"""What every store promises, whatever it keeps records in: leases, freshness, fencing and counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from health_check.records import Outcome, Record, State
from health_check.stores import Key, Lease, Publication, Query, StoreEntry, serializer
from tests.support.places import (
    BACKEND,
    ERROR,
    KEY,
    MAX_AGE,
    OTHER,
    Place,
    SteppingClock,
    ask,
    counted,
    ended,
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

with_tokens = pytest.mark.parametrize("place", ["memory_place", "sqlite_place"], indirect=True)
"""Places where leases end by the clock that a test moves, and whose tokens are compared."""


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
    since = place.clock.now()
    assert ask(store, force=True).lease is not None
    for entry in (ask(place.open(), force=True), look(store)):
        assert entry.lease is None
        assert entry.held_since == pytest.approx(since, abs=5)


@pytest.mark.parametrize(("backend", "max_age"), [("tests.Former", MAX_AGE), (BACKEND, 0.0)])
def test_look__never_fresh(place: Place, backend: str, max_age: float) -> None:
    """Where another check has taken over the label, or nothing may be old, it runs although there is a record."""
    record = run(place.open(), place.run(backend=backend), max_age=max_age)
    entry = ask(place.open())
    assert entry.record == record
    assert entry.lease is not None


@pytest.mark.parametrize("step", [-120.0, 120.0], ids=["back", "forward"])
def test_look__while_the_clock_is_set(place: Place, step: float) -> None:
    """No result is fresh for longer than it may be; one from a time that is yet to come is not fresh at all."""
    clock = SteppingClock()
    store = place.open(clock)
    run(store, result_at(clock.now()))
    clock.step = step
    assert look(store).fresh_for <= 0
    run(store, result_at(clock.now()))
    assert look(store).fresh_for == pytest.approx(MAX_AGE, abs=1)


def test_publish__makes_the_record_readable(place: Place) -> None:
    """What was published under the lease is read by all, with the counts, and the lease is free again."""
    first, second = place.open(), place.open()
    result = place.run(ERROR, time_taken=0.3)
    assert publish(first, result, lease=lease_of(first))
    entry = look(second)
    assert entry.record is not None
    assert entry.record == Record.after(None, result, max_age=MAX_AGE)
    assert entry.record.result.state is State.ERROR
    assert entry.record.max_age == pytest.approx(MAX_AGE)
    assert dict(entry.record.totals.runs) == {"ok": 0, "warning": 0, "error": 1, "timeout": 0}
    assert entry.record.totals.durations == {0.5: 1}
    assert entry.fresh_for == pytest.approx(MAX_AGE, abs=1)
    assert (entry.lease, entry.held_since) == (None, None)


def test_publish__several_runs_make_one_story(place: Place) -> None:
    """Each run counts, and the record says what the runs in a row amount to."""
    store = place.open()
    first = run(store, place.run())
    place.clock.forward(1)
    run(store, place.run(ERROR))
    place.clock.forward(1)
    last = place.run(ERROR)
    run(place.open(), last)
    record = record_of(store)
    assert (record.seq, record.streak, record.last_success) == (3, 2, first.result.finished)
    assert record.last_transition == pytest.approx(last.finished - 1, abs=0.5)
    assert dict(record.totals.runs) == {"ok": 1, "warning": 0, "error": 2, "timeout": 0}
    assert record.totals.seconds == pytest.approx(0.75)


def test_publish__several_checks_at_once(place: Place) -> None:
    """Publications are answered in their order, each for itself."""
    store, keys = place.open(), [KEY, OTHER, Key(label="Mail")]
    records = [Record.after(None, place.run(*messages), max_age=MAX_AGE) for messages in ((), (ERROR,), ())]
    leases = [lease_of(store, key) for key in keys]
    store.release([leases[1]])
    lease_of(place.open(), OTHER)
    leases[1] = ended(leases[1])
    publications = [Publication(lease=lease, record=record) for lease, record in zip(leases, records, strict=True)]
    assert store.publish(publications) == [records[0], None, records[2]]
    seen = place.open().look([Query(key=key) for key in keys])
    assert [entry.record for entry in seen] == [records[0], None, records[2]]
    assert store.publish([]) == []


def test_publish__late(place: Place) -> None:
    """A result that comes after its lease has ended is dropped if another process has the lease, or has published."""
    first, second = place.open(), place.open()
    record = run(first, place.run())
    late = lease_of(first, force=True)
    first.release([late])
    in_force = lease_of(second, force=True)
    assert not publish(first, place.run(ERROR), lease=ended(late), after=record)
    first.release([ended(late)])
    assert ask(first, force=True).lease is None
    newer = place.run()
    assert publish(second, newer, lease=in_force, after=record)
    second.release([in_force])
    assert not publish(first, place.run(ERROR), lease=ended(late), after=record)
    assert record_of(first).result == newer
    assert counted(record_of(second)) == 2


def test_publish__late_but_nobody_minds(place: Place) -> None:
    """A result that comes after its lease has ended counts where nobody else has taken it meanwhile."""
    store = place.open()
    late, result = lease_of(store), place.run()
    store.release([late])
    assert publish(store, result, lease=ended(late))
    assert record_of(place.open()).result == result


@with_tokens
def test_publish__not_the_holder(place: Place) -> None:
    """Nobody publishes under a lease that was never granted, was given back, or was used."""
    first, second = place.open(), place.open()
    assert not publish(first, place.run(), lease=Lease(key=KEY, token="invented"))
    assert first.past([KEY]) == {}
    given_back = lease_of(first)
    first.release([given_back])
    used = lease_of(second)
    assert not publish(first, place.run(ERROR), lease=given_back)
    assert publish(second, place.run(), lease=used)
    lease_of(first, force=True)
    assert not publish(second, place.run(ERROR), lease=used)
    assert counted(record_of(first)) == 1


@with_tokens
def test_lease__ends(place: Place) -> None:
    """A lease is to be had again once it has ended, and not before; who had it publishes nothing then."""
    first, second = place.open(), place.open()
    lease = lease_of(first)
    place.clock.forward(29)
    assert ask(second).lease is None
    place.clock.forward(2)
    assert look(second).held_since is None
    assert ask(second).lease is not None
    assert not publish(first, place.run(), lease=lease)
    assert look(first).record is None


@pytest.mark.parametrize("seconds", [86400.0, 20 * 86400.0])
def test_lease__that_says_it_lasts_for_a_day(place: Place, seconds: float) -> None:
    """Nobody waits for a holder that is gone for much longer than a run may take by who waits; one gets the lease."""
    first, second, third = place.open(), place.open(), place.open()
    assert ask(first, lease_seconds=seconds).lease is not None
    place.clock.forward(80)
    assert ask(second).lease is None
    place.clock.forward(20)
    lease = lease_of(second)
    assert ask(third).lease is None
    assert publish(second, place.run(), lease=lease)
    assert look(first).record == look(third).record


def test_lease__is_of_one_record(place: Place) -> None:
    """Who has read before a publication, and asks after it, does not get the lease on what has been replaced."""
    first, second = place.open(), place.open()
    for seq in range(2):
        (stored,) = second._fetch([Query(key=KEY)])
        assert stored.seq == seq
        record = run(first, place.run())
        lease = Lease(key=KEY, token="late", seq=stored.seq, ends=place.clock.monotonic() + 30)
        assert second._take([lease], place.clock.now()) == [False]
    assert record_of(second) == record
    assert lease_of(second, force=True).seq == record.seq


def test_release__makes_the_lease_free(place: Place) -> None:
    """A lease that is given back is to be had at once; giving back one that has ended changes nothing."""
    first, second = place.open(), place.open()
    late, other = lease_of(first), lease_of(first, OTHER)
    first.release([late, other])
    in_force = lease_of(second)
    first.release([ended(late)])
    first.release([])
    assert ask(first).lease is None
    assert publish(second, place.run(), lease=in_force)
    assert ask(first, OTHER).lease is not None


def test_labels__any_text(place: Place) -> None:
    """A label can be any text, and none is taken for another."""
    store, labels = place.open(), [*LABELS, *(f"{label}!" for label in LABELS), *map(str.upper, LABELS[:4])]
    records = {label: run(store, place.run(time_taken=n), key=Key(label=label)) for n, label in enumerate(labels)}
    assert {label: look(place.open(), Key(label=label)).record for label in labels} == records
    assert look(store, Key(label="other")).record is None


def test_close__the_next_use_opens_again(place: Place) -> None:
    """A store that was closed works on, and knows what it knew."""
    store = place.open()
    record = run(store, place.run())
    store.close()
    store.close()
    assert look(store).record == record
    assert store.describe()


MOST = serializer.MOST_COUNTED
FORGED: dict[str, Callable[[Record], Record]] = {
    "seq": lambda record: record._replace(seq=MOST),
    "streak": lambda record: record._replace(streak=MOST),
    "runs": lambda record: record._replace(totals=record.totals._replace(runs=dict.fromkeys(record.totals.runs, MOST))),
    "durations": lambda record: record._replace(totals=record.totals._replace(durations={0.5: MOST})),
    "buckets": lambda record: record._replace(
        totals=record.totals._replace(durations=dict.fromkeys(map(float, range(9999)), 1))
    ),
}


@pytest.mark.parametrize("field", FORGED)
def test_publish__after_numbers_without_end(place: Place, field: str) -> None:
    """After a record that somebody has forged, what is published can be read by all again."""
    first, second = place.open(), place.open()
    run(first, place.run())
    lease = ask(first, force=True).lease
    assert lease is not None
    forged = FORGED[field](record_of(first)._replace(seq=lease.seq + 1))
    following, first._following = first._following, lambda publication, latest: forged  # type: ignore[method-assign]
    assert first.publish([Publication(lease=lease, record=forged)]) != [None]
    first._following = following  # type: ignore[method-assign]
    published = [run(place.open(), place.run(ERROR)) for _ in range(2)]
    assert record_of(second) == published[-1]
    assert published[-1].totals.runs[Outcome.ERROR] == 2
