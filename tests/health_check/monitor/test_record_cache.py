"""What a process knows of each check."""

from __future__ import annotations

import contextvars

import pytest

from health_check.backends import HealthCheck
from health_check.monitor.record_cache import CachedRecord, Flight, RecordCache, Refresh
from health_check.records import Record
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from health_check.stores import Key, StoreEntry
from tests.support.places import MAX_AGE, result_at
from tests.support.readings import definition

RECORD = Record.after(None, result_at(100.0, time_taken=3.0), max_age=MAX_AGE)


class Tenant(HealthCheck):
    """Has an option that tells one from another, and cannot be compared where that is what it says."""

    def __init__(self, alias: object = "default") -> None:
        super().__init__()
        self.alias = alias


class OtherTenant(Tenant):
    """Is another class."""


def tenant(alias: object = "default", check_class: type[HealthCheck] = Tenant) -> Definition:
    """Return the definition of a check; all have the same label."""
    return parse((check_class, {"alias": alias, "name": "tenant"})).define()


def record_of(records: RecordCache, what: Definition) -> CachedRecord:
    """Return the record of a check, as a reader gets it."""
    return records.of(what, records.redefined([what]))


def test_of__same_check__is_the_same_slot() -> None:
    """A definition that was made anew means the same check, and is the one in force from then on."""
    records = RecordCache()
    first, again = tenant(), tenant()
    cached = record_of(records, first)
    assert records.get("tenant") is cached
    assert record_of(records, again) is cached
    assert cached.definition is again
    assert len(records) == 1
    assert records.get("nobody") is None


def test_of__other_options__is_private() -> None:
    """The store cannot tell checks of one class and label apart, so it hears of the first only."""
    records = RecordCache()
    first = record_of(records, tenant("one"))
    second = record_of(records, tenant("two"))
    third = record_of(records, tenant("one"))
    fourth = record_of(records, tenant(check_class=OtherTenant))
    assert [cached.is_private for cached in (first, second, third, fourth)] == [False, True, True, True]
    assert second is not first
    assert third is not second
    assert len(records) == 1


def test_of__another_class__is_told_apart_by_the_store() -> None:
    """A record says which class it is of: another class under the same label needs no privacy."""
    records = RecordCache()
    record_of(records, tenant())
    assert not record_of(records, tenant(check_class=OtherTenant)).is_private


def test_of__stuck__keeps_its_place() -> None:
    """While a thread hangs in a check of this label, no other is started under it."""

    class Stuck(CachedRecord):
        is_stuck = True

    records = RecordCache()
    stuck = records._by_label["tenant"] = Stuck(tenant("one"), is_private=False)
    assert record_of(records, tenant("two")) is stuck


def test_strangers__options_that_cannot_be_compared() -> None:
    """Options whose comparison fails tell checks apart."""

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    records = RecordCache()
    first, second = tenant(Incomparable()), tenant(Incomparable())
    record_of(records, first)
    assert records.redefined([first]) == set()
    assert records.redefined([second, definition("other")]) == {id(second)}


@pytest.mark.parametrize(
    ("fresh_until", "record", "fresh"),
    [(5.0, RECORD, False), (5.1, RECORD, True), (float("-inf"), RECORD, False), (9.0, None, False)],
)
def test_record__fresh(fresh_until: float, record: Record | None, fresh: bool) -> None:
    """A record is fresh until its time; without a record nothing is."""
    cached = CachedRecord(tenant(), is_private=False)
    cached.record, cached.fresh_until = record, fresh_until
    assert cached.is_fresh(5.0) is fresh


@pytest.mark.parametrize(("time_taken", "lead"), [(3.0, 3.0), (60.0, 5.0), (0.0, 0.0)])
def test_record__lead(time_taken: float, lead: float) -> None:
    """A run starts as long before the record expires as the last one took, at most its budget."""
    cached = CachedRecord(tenant(), is_private=False)
    assert cached.lead == 0.0
    cached.record = RECORD._replace(result=result_at(100.0, time_taken=time_taken))
    assert cached.lead == lead


def flight_of(cached: CachedRecord) -> Flight:
    """Return a refresh of a check that is under way."""
    refresh = Refresh(context=contextvars.copy_context())
    return Flight(cached, refresh, timeout=5.0, max_age=10.0, force=False)


def test_record__idle() -> None:
    """A record is idle while nobody waits."""
    cached = CachedRecord(tenant(), is_private=False)
    assert (cached.is_idle, cached.is_stuck) == (True, False)
    cached.flight = flight_of(cached)
    assert not cached.is_idle


def test_record__key() -> None:
    """The store knows a check by its label and scope."""
    fleet = parse((Tenant, {"name": "tenant", "scope": "fleet"})).define()
    assert CachedRecord(fleet, is_private=False).key == Key(label="tenant", scope="fleet")
    assert CachedRecord(tenant(), is_private=False).key == Key(label="tenant")


def test_forget_some__what_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many, those go that are neither fresh nor waited for; before that all stay."""
    monkeypatch.setattr("health_check.monitor.record_cache.MOST_CACHED", 4)
    records = RecordCache()
    made = [record_of(records, definition(label)) for label in ("old", "fresh", "awaited")]
    made[1].fresh_until = 6.0
    made[2].flight = flight_of(made[2])
    assert records.forget_some(5.0) == []
    record_of(records, definition("old too"))
    assert records.forget_some(5.0) == [Key(label="old"), Key(label="old too")]
    assert len(records) == 2
    assert records.get("fresh") is made[1]
    assert records.get("awaited") is made[2]


def test_flight__notes_what_was_there_when_it_was_asked_for() -> None:
    """A record other than that is what a reader waits for."""
    flight = flight_of(CachedRecord(tenant(), is_private=False))
    flight.note(StoreEntry(record=RECORD, held_since=90.0))
    flight.note(StoreEntry(held_since=95.0))
    assert (flight.seen, flight.looks, flight.held_since) == (RECORD.result_id, 2, 95.0)


@pytest.mark.parametrize(
    ("held_since", "text"),
    [
        (None, "unavailable: no result yet"),
        (90.0, "unavailable: still running, started 10 s ago"),
        (103.0, "unavailable: still running, started 0 s ago"),
    ],
)
def test_flight__waiting_for(held_since: float | None, text: str) -> None:
    """A reader that cannot wait says since when another process runs the check, if one does."""
    flight = flight_of(CachedRecord(tenant(), is_private=False))
    flight.note(StoreEntry(held_since=held_since))
    assert flight.waiting_for(100.0).text == text
