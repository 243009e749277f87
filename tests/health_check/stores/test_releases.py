"""Two releases of a site side by side, sites that share a store, and what a reader believes of a record."""

from __future__ import annotations

import contextlib

import pytest

from health_check.records import State
from health_check.stores import Query, Store
from health_check.stores.base import RELEASE_SECONDS
from health_check.stores.cache import DjangoCacheStore
from health_check.stores.cache_access import HOST_KEY_SECONDS
from health_check.stores.cache_past import CHECKS
from health_check.stores.sqlite import SQLiteStore
from tests.support.hosts import on
from tests.support.places import BACKEND, ERROR, KEY, MAX_AGE, Place, ask, counted, lease_of, look, publish, run


def released(place: Place, release: str) -> Store:
    """Return the store of a process of a release."""
    store = place.open()
    store.site_release = release
    return store


def test_release__a_new_one_runs_and_counts_on(shared_place: Place) -> None:
    """A new release has no result until it has run a check; its counts go on from those of the release before."""
    old, new = released(shared_place, "1"), released(shared_place, "2")
    before = run(old, shared_place.run())
    entry = ask(new)
    assert (entry.record, entry.latest) == (None, before)
    assert entry.lease is not None
    assert publish(new, shared_place.run(ERROR), lease=entry.lease, after=entry.latest)
    record = look(new).record
    assert record is not None
    assert (record.release, record.result.state, counted(record)) == ("2", State.ERROR, 2)
    assert record.last_success == before.last_success


def test_release__each_shows_its_own(shared_place: Place) -> None:
    """While two releases run side by side each shows its own results, and both count all runs, which never go back."""
    old, new = released(shared_place, "1"), released(shared_place, "2")
    run(old, shared_place.run())
    counts = [1]
    for _ in range(3):
        for store, messages in ((new, (ERROR,)), (old, ())):
            shared_place.clock.forward(MAX_AGE / 2)
            run(store, shared_place.run(*messages))
            seen = [
                look(process).record for process in (old, new, released(shared_place, "1"), released(shared_place, "2"))
            ]
            assert [record.result.state.value for record in seen if record] == ["ok", "error"] * 2
            counts += [counted(record) for record in seen if record]
    assert counts == sorted(counts)
    assert counts[-1] == 7


def test_release__has_leases_of_its_own(shared_place: Place) -> None:
    """A release does not wait for a run of another one, whose result it would not show."""
    old, new = released(shared_place, "1"), released(shared_place, "2")
    mine, other = lease_of(old), lease_of(new)
    assert ask(released(shared_place, "2")).lease is None
    old.release([mine])
    assert ask(released(shared_place, "2")).lease is None
    assert publish(new, shared_place.run(), lease=other)
    assert ask(released(shared_place, "1")).lease is not None


def test_release__past_goes_on(shared_place: Place) -> None:
    """Former runs are those of the check, whichever release ran it."""
    for release in ("1", "2", "1"):
        run(released(shared_place, release), shared_place.run())
    past = shared_place.open().past([KEY])[KEY]
    assert sum(day.ok for day in past.days) == 3
    assert [change.state for some in past.changes.values() for change in some] == ["ok"]


def test_release__is_dropped_after_an_hour(sqlite_place: Place) -> None:
    """What another release has measured is dropped when it has run nothing for an hour; its counts are not."""
    run(released(sqlite_place, "1"), sqlite_place.run())
    new = released(sqlite_place, "2")
    run(new, sqlite_place.run())
    sqlite_place.clock.forward(RELEASE_SECONDS + 60)
    run(new, sqlite_place.run())
    with contextlib.closing(released(sqlite_place, "2")) as newcomer:
        newcomer.probe()
    entry = look(released(sqlite_place, "1"))
    assert entry.record is None
    assert entry.latest is not None
    assert counted(entry.latest) == 3


@pytest.mark.parametrize("seen", [None, "another"])
def test_server_start__what_was_measured_before_is_not_fresh(shared_place: Place, seen: str | None) -> None:
    """A result from before a server started is not fresh for it: it gets the lease, and others go on showing that.

    That holds also for one that is published by a process of the former server while it is waited for.
    """
    store = shared_place.open()
    record = run(store, shared_place.run())
    started = record.result.started + 0.001
    query = Query(key=KEY, backend=BACKEND, lease_seconds=30.0, not_before=started, seen=seen)
    (entry,) = shared_place.open().look([query])
    assert entry.record == record
    assert entry.lease is not None
    assert look(shared_place.open()).fresh_for > 0


@pytest.mark.parametrize("claimed", [MAX_AGE, 86400.0, 1e12])
def test_freshness__is_the_reader_s_word(shared_place: Place, claimed: float) -> None:
    """However long who published says that a record is fresh, a reader's own max_age bounds that."""
    run(shared_place.open(), shared_place.run(), max_age=claimed)
    shared_place.clock.forward(3.0)
    for max_age, lease in ((2.0, True), (60.0, False)):
        (entry,) = shared_place.open().look([Query(key=KEY, backend=BACKEND, lease_seconds=30.0, max_age=max_age)])
        assert (entry.lease is not None) is lease
        assert entry.fresh_for == pytest.approx(min(max_age, claimed) - 3.0, abs=1)


def test_sites__on_one_file(sqlite_place: Place) -> None:
    """Two sites whose operator gave them one file have records, leases, a past and draining of their own."""
    first, second = sqlite_place.open(), sqlite_place.open()
    second.site = "another"
    run(first, sqlite_place.run(ERROR))
    first.drain(True)
    second.probe()
    assert look(second).record is None
    assert second.draining is None
    assert second.past([KEY]) == {}
    run(second, sqlite_place.run())
    assert [look(store).record.result.state.value for store in (first, second)] == ["error", "ok"]  # type: ignore[union-attr]


def test_mark__is_raised_by_forced_runs_only(shared_place: Place) -> None:
    """All processes learn that a run was forced: at once on a file, with the next use of a cache."""
    store, other = shared_place.open(), shared_place.open()
    marks = [mark_of(other)]
    run(store, shared_place.run())
    marks.append(mark_of(other))
    for _ in range(2):
        run(store, shared_place.run(), forced=True)
        marks.append(mark_of(other))
    assert marks[0] == marks[1]
    assert len(set(map(str, marks))) == 3


def mark_of(store: Store) -> object:
    """Return the mark as a process knows it after its next use of the store."""
    if not isinstance(store, SQLiteStore):
        store.probe()
    return store.current_mark()


def test_expiry__of_what_a_host_leaves(locmem_place: Place) -> None:
    """A host that is gone leaves keys that expire two days after their last write; the site's, a handful, stay."""
    store = on("gone")
    run(store, locmem_place.run())
    store.drain(True)
    other = on("there")
    other.probe()
    assert isinstance(store, DjangoCacheStore)
    assert store._cache is not None
    kept: dict[str, float] = store._cache._expire_info  # type: ignore[attr-defined]
    expiries = [expiry for name, expiry in kept.items() if name != store._cache.make_key(store._named(CHECKS))]
    assert all(expiry is not None for expiry in expiries)
    assert max(expiries) <= locmem_place.clock.now() + HOST_KEY_SECONDS + 5
