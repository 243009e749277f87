"""What a store and its users exchange: what counts as fresh, how long a lease holds, and which store is made."""

from __future__ import annotations

import math

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from health_check.records import Record
from health_check.stores import Query, StoreEntry, create_store
from health_check.stores.memory import MemoryStore
from health_check.stores.sqlite import SQLiteStore
from tests.support.bench import StillClock
from tests.support.places import KEY, MAX_AGE, lease_of, look, publish, result_at, run

STORED = Record.after(None, result_at(100.0), max_age=MAX_AGE)


@pytest.mark.parametrize(
    ("age", "max_age", "fresh_for"),
    [
        (0.0, 10.0, 10.0),
        (4.0, 10.0, 6.0),
        (10.0, 10.0, 0.0),
        (12.0, 10.0, -2.0),
        (0.0, 0.0, 0.0),
        # from the future, as a clock ahead of ours tells
        (-1.5, 10.0, 10.0),
        (-2.0, 10.0, 10.0),
        (-2.5, 10.0, -math.inf),
        (-1e9, 10.0, -math.inf),
    ],
)
def test_fresh_for__table(age: float, max_age: float, fresh_for: float) -> None:
    """A record is fresh from the end of its run on, for its max_age at most, and not if that is yet to come."""
    clock = StillClock()
    store = MemoryStore(clock=clock)
    record = Record.after(None, result_at(clock.now() - age), max_age=max_age)
    assert store.fresh_for(record) == fresh_for
    assert store.fresh_for(None) == -math.inf


def test_look__the_lease() -> None:
    """A lease says what it was taken on, and when it ends by the clock that never steps; no two are the same."""
    clock = StillClock()
    store = MemoryStore(clock=clock)
    first = lease_of(store)
    assert (first.key, first.seq, first.ends) == (KEY, 0, clock.monotonic() + 30.0)
    store.release([first])
    record = run(store, result_at(clock.now()))
    second = lease_of(store, force=True)
    assert (second.seq, second.token == first.token) == (record.seq, False)


def test_publish__at_the_last_moment() -> None:
    """A lease ends at its end, also where nobody was told that it has; then it is taken for once more."""
    clock = StillClock()
    store = MemoryStore(clock=clock)
    lease = lease_of(store)
    clock.forward(30.0)
    store.release([lease])
    assert publish(store, result_at(clock.now()), lease=lease)
    assert look(store).held_since is None
    assert not publish(store, result_at(clock.now()), lease=lease)


SEEN = STORED.result_id


@pytest.mark.parametrize(
    ("entry", "lead", "force", "seen", "suffices"),
    [
        (StoreEntry(), 0.0, False, None, False),
        (StoreEntry(record=STORED, fresh_for=5.0), 0.0, False, None, True),
        (StoreEntry(record=STORED, fresh_for=5.0), 4.9, False, None, True),
        (StoreEntry(record=STORED, fresh_for=5.0), 5.0, False, None, False),
        (StoreEntry(record=STORED, fresh_for=0.0), 0.0, False, None, False),
        (StoreEntry(record=STORED, fresh_for=5.0), 0.0, True, None, False),
        # while somebody waits for a newer one than was there
        (StoreEntry(record=STORED, fresh_for=-1.0), 0.0, False, SEEN, False),
        (StoreEntry(record=STORED, fresh_for=5.0), 0.0, True, SEEN, False),
        (StoreEntry(record=STORED, fresh_for=-1.0), 0.0, False, "another", True),
        (StoreEntry(record=STORED, fresh_for=-1.0), 0.0, True, "", True),
        (StoreEntry(), 0.0, False, "another", False),
    ],
)
def test_suffices__table(entry: StoreEntry, lead: float, force: bool, seen: str | None, suffices: bool) -> None:
    """A record is an answer that outlasts the lead and is not refused, or that came while it was waited for."""
    query = Query(key=KEY, backend=STORED.result.backend, lead=lead, force=force, seen=seen)
    assert entry.suffices(query) is suffices
    assert not entry.suffices(query._replace(backend="tests.Other")), "it is of another check under the same label"


@pytest.mark.parametrize(
    ("configured", "store_class"),
    [
        ({}, MemoryStore),
        ({"STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"}}, MemoryStore),
        ({"STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": "x.db"}}}, SQLiteStore),
    ],
)
def test_create_store__as_configured(configured: dict[str, object], store_class: type, settings: Settings) -> None:
    """The store is of the class that the settings name, with its options; in a test suite memory."""
    settings.HEALTH_CHECK = configured
    store = create_store()
    assert type(store) is store_class
    assert not isinstance(store, SQLiteStore) or store.path.name == "x.db"


@pytest.mark.parametrize(
    ("store", "text"),
    [
        ({"BACKEND": "nowhere.Store"}, "HEALTH_CHECK['STORE'] cannot be used: nowhere.Store: No module"),
        (
            {"BACKEND": "health_check.stores.memory.MemoryStore", "OPTIONS": {"path": "x"}},
            "HEALTH_CHECK['STORE'] cannot be used: health_check.stores.memory.MemoryStore: ",
        ),
        (
            {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": ""}},
            "path is '', use the name of a file",
        ),
        (
            {"BACKEND": "health_check.concurrency.clock.Clock"},
            "is 'health_check.concurrency.clock.Clock': use a subclass of Store.",
        ),
    ],
)
def test_create_store__unusable(store: dict[str, object], text: str, settings: Settings) -> None:
    """A store that cannot be made is refused with its name and what is wrong."""
    settings.HEALTH_CHECK = {"STORE": store}
    with pytest.raises(ImproperlyConfigured) as caught:
        create_store()
    assert text in str(caught.value)
