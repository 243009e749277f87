"""Several hosts and sites on one cache, also with clocks that are apart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pytest_django import Settings

from health_check.records import Record
from health_check.stores import Key
from health_check.stores.cache import DjangoCacheStore
from health_check.stores.cache_past import HOST_SECONDS, NOTE_HOST_SECONDS
from tests.support.bench import MovableClock
from tests.support.hosts import FLEET, on, run_now
from tests.support.places import KEY, MAX_AGE, OTHER, SteppingClock, ask, lease_of, look, publish, result_at

pytestmark = pytest.mark.usefixtures("own_cache")


def test_scope__host_and_fleet(clock: MovableClock) -> None:
    """What a host can reach is its own truth; what is the same on all hosts is run once for all of them.

    Two sites on one cache have nothing in common, and a host's check of the name of a fleet's is another one.
    """
    first, second, stranger = on("a", clock), on("b", clock), on("a", clock, site="other")
    lease, fleet = lease_of(first), lease_of(first, FLEET)
    assert lease_of(second).token != lease.token
    assert ask(second, FLEET).held_since is not None
    assert publish(first, result_at(clock.now()), lease=lease)
    assert publish(first, result_at(clock.now()), lease=fleet)
    assert look(first).record is not None
    assert look(second).record is None
    assert look(second, FLEET).record is not None
    assert ask(second, FLEET).lease is None
    assert look(second, Key(label=FLEET.label)).record is None
    for key in (KEY, FLEET):
        assert look(stranger, key).record is None
        assert lease_of(stranger, key).seq == 0


def test_site__by_default_from_the_settings(clock: MovableClock, settings: Settings) -> None:
    """A site that is not named is told by its settings module, and what else makes it; a secret is none of that."""
    record = run_now(on("a", clock, site=None), clock)
    settings.SECRET_KEY = "another"
    assert look(on("a", clock, site=None)).record == record
    settings.SETTINGS_MODULE = "other.settings"
    assert look(on("a", clock, site=None)).record is None


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_clocks__agree_within_two_seconds(clock: MovableClock, step: float) -> None:
    """Hosts whose clocks are a second apart share their records, though one sees them expire a little later."""
    apart = SteppingClock()
    apart.step = step
    here, there = on("a", clock), on("b", apart)
    for store, own in ((here, clock), (there, apart)):
        record = run_now(store, own, FLEET)
        for other in (here, there):
            assert (ask(other, FLEET).record, ask(other, FLEET).lease) == (record, None)
            assert MAX_AGE - 2 < look(other, FLEET).fresh_for <= MAX_AGE


@pytest.mark.parametrize("step", [120.0, -120.0])
def test_clocks__are_apart(clock: MovableClock, step: float) -> None:
    """A host ahead or behind runs the check for itself: it never shows a record as fresh for ever."""
    apart = SteppingClock()
    apart.step = step
    here, there = on("a", clock), on("b", apart)
    record = run_now(here, clock, FLEET)
    lease = lease_of(there, FLEET)
    assert publish(there, result_at(apart.now()), lease=lease, after=record)
    assert ask(there, FLEET).lease is None
    assert ask(here, FLEET).lease is not None


def elsewhere(store: DjangoCacheStore, *keys: Key) -> Mapping[str, Mapping[Key, Record]]:
    """Return the records of other hosts, as the status page asks for them."""
    store.past(keys)
    return store.elsewhere(keys)


def test_elsewhere__shows_other_hosts_only(clock: MovableClock) -> None:
    """The page sees what other hosts found of the checks asked for, and which are drained, until they fall silent."""
    stores = {host: on(host, clock) for host in "abc"}
    records = {host: run_now(store, clock) for host, store in stores.items()}
    run_now(stores["b"], clock, FLEET)
    run_now(stores["b"], clock, OTHER)
    assert elsewhere(stores["a"], KEY, FLEET) == {host: {KEY: records[host]} for host in "bc"}
    assert elsewhere(stores["b"], OTHER) == elsewhere(stores["a"]) == {}
    assert elsewhere(on("a", clock, site="other"), KEY) == {}
    for drained in (True, False):
        stores["b"].drain(drained)
        stores["c"].drain(False)
        assert elsewhere(stores["a"], KEY).keys() == {"b", "c"}
        assert stores["a"].drained_elsewhere == ({"b"} if drained else frozenset())
    clock.forward(NOTE_HOST_SECONDS + 1)
    run_now(stores["b"], clock)
    clock.forward(HOST_SECONDS - 1)
    assert list(elsewhere(stores["a"], KEY)) == ["b"]
    clock.forward(2)
    assert elsewhere(stores["a"], KEY) == {}
