"""What a store and its users exchange: how an outcome becomes part of a record, and what counts as fresh."""

from __future__ import annotations

import dataclasses

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from health_check.records import NO_TOTALS, Outcome, Record, Result, State, Totals
from health_check.stores import Key, Lease, Publication, Query, StoreEntry, create_store
from health_check.stores.memory import MemoryStore
from health_check.stores.sqlite import SQLiteStore
from tests.support.places import ERROR, KEY, MAX_AGE, result_at, totals

LEASE = Lease(key=KEY, token="1")
NEW = result_at(200.0, ERROR)


def record(finished: float, *, seq: int = 1, counted: Totals = NO_TOTALS) -> Record:
    """Return the record of a check that was in order at some time."""
    made = Record.after(None, result_at(finished), max_age=MAX_AGE)
    return dataclasses.replace(made, seq=seq, totals=counted)


STORED = record(100.0, seq=7, counted=totals(ok=3))
OLDER = record(90.0, seq=5, counted=totals(ok=2))
NEWER = record(110.0, seq=9, counted=totals(ok=5))


@pytest.mark.parametrize(
    ("stored", "fresh", "known", "lease", "result", "unsent", "shown", "seq", "ok", "error"),
    [
        # nothing stored
        (None, False, None, LEASE, NEW, 0, NEW, 1, 0, 1),
        (None, False, None, None, NEW, 2, NEW, 1, 2, 1),
        (None, False, OLDER, None, None, 0, OLDER.result, 6, 2, 0),
        (None, False, OLDER, None, None, 2, OLDER.result, 6, 4, 0),
        (None, False, OLDER, LEASE, NEW, 0, NEW, 6, 2, 1),
        # something stored that is not fresh
        (STORED, False, None, LEASE, NEW, 0, NEW, 8, 3, 1),
        (STORED, False, None, None, NEW, 0, NEW, 8, 3, 1),
        (STORED, False, None, None, None, 2, STORED.result, 8, 5, 0),
        (STORED, False, OLDER, None, None, 2, STORED.result, 8, 5, 0),
        (STORED, False, NEWER, None, None, 2, NEWER.result, 10, 7, 0),
        (STORED, False, NEWER, None, None, 0, NEWER.result, 10, 5, 0),
        (STORED, False, NEWER, LEASE, NEW, 0, NEW, 10, 5, 1),
        # something stored that is fresh, and is replaced under a lease only
        (STORED, True, None, None, NEW, 0, STORED.result, 8, 3, 1),
        (STORED, True, NEWER, None, NEW, 1, STORED.result, 10, 6, 1),
        (STORED, True, NEWER, None, None, 0, STORED.result, 10, 5, 0),
        (STORED, True, None, LEASE, NEW, 2, NEW, 8, 5, 1),
    ],
)
def test_applied_to__table(
    stored: Record | None,
    fresh: bool,
    known: Record | None,
    lease: Lease | None,
    result: Result | None,
    unsent: int,
    shown: Result,
    seq: int,
    ok: int,
    error: int,
) -> None:
    """The result, the number and the totals follow from what is stored, what is known and what is told."""
    publication = Publication(
        key=KEY, lease=lease, result=result, max_age=MAX_AGE, known=known, unsent=totals(ok=unsent)
    )
    made = publication.applied_to(stored, fresh=fresh)
    assert made is not None
    assert made.result is shown
    assert made.seq == seq
    assert (made.totals.runs[Outcome.OK], made.totals.runs[Outcome.ERROR]) == (ok, error)
    assert made.totals.seconds == pytest.approx(0.25 * (ok + error))
    assert made.fresh_until == shown.finished + MAX_AGE


@pytest.mark.parametrize("unsent", [0, 2])
def test_applied_to__nothing_known__makes_no_record(unsent: int) -> None:
    """Without any result there is no record, also where something was counted."""
    assert Publication(key=KEY, unsent=totals(ok=unsent)).applied_to(None, fresh=False) is None


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("known", [None, OLDER, STORED])
def test_applied_to__nothing_new__is_the_same_record(fresh: bool, known: Record | None) -> None:
    """What a store has already it need not write."""
    assert Publication(key=KEY, known=known).applied_to(STORED, fresh=fresh) is STORED


@pytest.mark.parametrize("lease", [LEASE, None])
def test_applied_to__one_after_the_other__counts_each_run_once(lease: Lease | None) -> None:
    """What a process knows of the store's own runs is not counted again; totals and numbers only grow."""
    made: Record | None = None
    known: list[Record | None] = [None]
    for number in range(1, 6):
        known.append(made)
        publication = Publication(
            key=KEY, lease=lease, result=result_at(100.0 * number), max_age=MAX_AGE, known=known[number // 2]
        )
        before, made = made, publication.applied_to(made, fresh=False)
        assert made is not None
        assert made.seq == number
        assert made.totals == totals(ok=number)
        assert before is None or made.result.finished > before.result.finished


def test_applied_to__streak_goes_on_from_what_is_known() -> None:
    """After a loss the streak, the last success and the last transition are those of the record known."""
    publication = Publication(key=KEY, lease=LEASE, result=NEW, max_age=MAX_AGE, known=NEWER)
    made = publication.applied_to(None, fresh=False)
    assert made is not None
    assert made.result.state is State.ERROR
    assert made.last_success == NEWER.result.finished
    assert made.last_transition == NEW.finished
    again = Publication(key=KEY, lease=LEASE, result=result_at(300.0, ERROR), max_age=MAX_AGE, known=made)
    after = again.applied_to(None, fresh=False)
    assert after is not None
    assert (after.streak, after.last_transition) == (2, NEW.finished)


def test_applied_to__totals_are_the_most_that_is_known_of_each_outcome() -> None:
    """Of two who may each have missed some runs, neither's are lost."""
    stored = record(100.0, counted=totals(ok=3, error=1))
    known = record(90.0, counted=totals(ok=2, error=4))
    made = Publication(key=KEY, known=known, unsent=totals(ok=1)).applied_to(stored, fresh=True)
    assert made is not None
    assert (made.totals.runs[Outcome.OK], made.totals.runs[Outcome.ERROR]) == (4, 4)


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


@pytest.mark.parametrize("seen", [None, "another"])
def test_suffices__another_backend(seen: str | None) -> None:
    """The record of another check under the same label is no answer."""
    assert not StoreEntry(record=STORED, fresh_for=5.0).suffices(Query(key=KEY, backend="tests.Other", seen=seen))


def test_key__is_told_by_label_and_scope() -> None:
    """A check of the fleet is another one than that of a host."""
    assert Key(label="Database") == KEY
    assert Key(label="Database", scope="fleet") != KEY


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
            {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"history_rows": -1}},
            "history_rows is -1, use a whole number",
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
