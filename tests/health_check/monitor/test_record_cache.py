"""What a process knows of each check."""

from __future__ import annotations

import dataclasses

import pytest

from health_check.backends import HealthCheck
from health_check.monitor.record_cache import Pending, Slot, Slots
from health_check.records import Record
from health_check.registry.definitions import Definition
from health_check.registry.entries import parse
from health_check.stores import Entry, Key
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


def slot_of(slots: Slots, what: Definition) -> Slot:
    """Return the slot of a check, as a reader gets it."""
    return slots.of(what, slots.strangers([what]))


def test_of__same_check__is_the_same_slot() -> None:
    """A definition that was made anew means the same check, and is the one in force from then on."""
    slots = Slots()
    first, again = tenant(), tenant()
    slot = slot_of(slots, first)
    assert slots.get("tenant") is slot
    assert slot_of(slots, again) is slot
    assert slot.definition is again
    assert len(slots) == 1
    assert slots.get("nobody") is None


def test_of__other_options__is_private() -> None:
    """The store cannot tell checks of one class and label apart, so it hears of the first only."""
    slots = Slots()
    first = slot_of(slots, tenant("one"))
    second = slot_of(slots, tenant("two"))
    third = slot_of(slots, tenant("one"))
    fourth = slot_of(slots, tenant(check_class=OtherTenant))
    assert [slot.is_private for slot in (first, second, third, fourth)] == [False, True, True, True]
    assert second is not first
    assert third is not second
    assert len(slots) == 1


def test_of__another_class__is_told_apart_by_the_store() -> None:
    """A record says which class it is of: another class under the same label needs no privacy."""
    slots = Slots()
    slot_of(slots, tenant())
    assert not slot_of(slots, tenant(check_class=OtherTenant)).is_private


def test_of__stuck__keeps_its_place() -> None:
    """While a thread hangs in a check of this label, no other is started under it."""

    class Stuck(Slot):
        is_stuck = True

    slots = Slots()
    stuck = slots._by_label["tenant"] = Stuck(tenant("one"), is_private=False)
    assert slot_of(slots, tenant("two")) is stuck


def test_strangers__options_that_cannot_be_compared() -> None:
    """Options whose comparison fails tell checks apart."""

    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    slots = Slots()
    first, second = tenant(Incomparable()), tenant(Incomparable())
    slot_of(slots, first)
    assert slots.strangers([first]) == set()
    assert slots.strangers([second, definition("other")]) == {id(second)}


@pytest.mark.parametrize(
    ("fresh_until", "record", "fresh"),
    [(5.0, RECORD, False), (5.1, RECORD, True), (float("-inf"), RECORD, False), (9.0, None, False)],
)
def test_slot__fresh(fresh_until: float, record: Record | None, fresh: bool) -> None:
    """A record is fresh until its time; without a record nothing is."""
    slot = Slot(tenant(), is_private=False)
    slot.record, slot.fresh_until = record, fresh_until
    assert slot.is_fresh(5.0) is fresh


@pytest.mark.parametrize(("time_taken", "lead"), [(3.0, 3.0), (60.0, 5.0), (0.0, 0.0)])
def test_slot__lead(time_taken: float, lead: float) -> None:
    """A run starts as long before the record expires as the last one took, at most its budget."""
    slot = Slot(tenant(), is_private=False)
    assert slot.lead == 0.0
    slot.record = dataclasses.replace(RECORD, result=result_at(100.0, time_taken=time_taken))
    assert slot.lead == lead


@pytest.mark.parametrize("lead", [0.0, 3.0])
def test_slot__idle_and_early(lead: float) -> None:
    """A slot is idle while nobody waits; early while a run was asked for before the record expires."""
    slot = Slot(tenant(), is_private=False)
    assert (slot.is_idle, slot.is_early, slot.is_stuck) == (True, False, False)
    slot.pending = Pending(force=False, lead=lead)
    assert (slot.is_idle, slot.is_early) == (False, lead > 0)


def test_slot__key() -> None:
    """The store knows a check by its label and scope."""
    fleet = parse((Tenant, {"name": "tenant", "scope": "fleet"})).define()
    assert Slot(fleet, is_private=False).key == Key(label="tenant", scope="fleet")
    assert Slot(tenant(), is_private=False).key == Key(label="tenant")


def test_forget_some__what_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many, those go that are neither fresh nor waited for; before that all stay."""
    monkeypatch.setattr("health_check.monitor.record_cache.MOST_SLOTS", 4)
    slots = Slots()
    made = [slot_of(slots, definition(label)) for label in ("old", "fresh", "awaited")]
    made[1].fresh_until = 6.0
    made[2].pending = Pending(force=False, lead=0.0)
    assert slots.forget_some(5.0) == []
    slot_of(slots, definition("old too"))
    assert slots.forget_some(5.0) == [Key(label="old"), Key(label="old too")]
    assert len(slots) == 2
    assert slots.get("fresh") is made[1]
    assert slots.get("awaited") is made[2]


def test_pending__notes_what_was_there_when_it_was_asked_for() -> None:
    """A record other than that is what a reader waits for."""
    pending = Pending(force=False, lead=0.0)
    pending.note(Entry(record=RECORD, held_since=90.0))
    pending.note(Entry(held_since=95.0))
    assert (pending.seen, pending.looks, pending.held_since) == (RECORD.result_id, 2, 95.0)


@pytest.mark.parametrize(
    ("held_since", "text"),
    [
        (None, "unavailable: no result yet"),
        (90.0, "unavailable: still running, started 10 s ago"),
        (103.0, "unavailable: still running, started 0 s ago"),
    ],
)
def test_pending__waiting_for(held_since: float | None, text: str) -> None:
    """A reader that cannot wait says since when another process runs the check, if one does."""
    pending = Pending(force=False, lead=0.0)
    pending.note(Entry(held_since=held_since))
    assert pending.waiting_for(100.0).text == text
