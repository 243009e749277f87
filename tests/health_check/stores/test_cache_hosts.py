"""Several hosts and sites on one cache, also with clocks that are apart."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from health_check.stores import Key
from health_check.stores.cache_past import HOST_SECONDS, NOTE_HOST_SECONDS
from tests.support.bench import MovableClock
from tests.support.hosts import FLEET, on, run_now
from tests.support.places import KEY, MAX_AGE, OTHER, SteppingClock, ask, lease_of, look, publish, result_at

pytestmark = pytest.mark.usefixtures("own_cache")


def test_scope__host(clock: MovableClock) -> None:
    """What a host can reach is its own truth: leases, records and counts of others are not its."""
    first, second = on("a", clock), on("b", clock)
    lease = lease_of(first)
    assert lease_of(second).token != lease.token
    assert publish(first, result_at(clock.now()), lease=lease)
    assert look(first).record is not None
    assert look(second).record is None


def test_scope__fleet(clock: MovableClock) -> None:
    """What is the same on all hosts is run once for all; a host's check of that name is another one."""
    first, second = on("a", clock), on("b", clock)
    lease_of(first, FLEET)
    assert ask(second, FLEET).held_since is not None
    first, second = on("a", clock, site="other"), on("b", clock, site="other")
    record = run_now(first, clock, FLEET)
    assert ask(second, FLEET).record == record
    assert ask(second, FLEET).lease is None
    assert look(second, Key(label=FLEET.label)).record is None


@pytest.mark.parametrize("key", [KEY, FLEET])
def test_site__never_mix(clock: MovableClock, key: Key) -> None:
    """Two sites on one cache have nothing in common."""
    first, second = on("a", clock, site="a"), on("a", clock, site="b")
    run_now(first, clock, key)
    assert look(second, key).record is None
    assert ask(second, key).lease is not None


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
    entry = ask(there, FLEET)
    assert entry.record == record
    assert entry.lease is not None
    assert publish(there, result_at(apart.now()), lease=entry.lease, after=record)
    assert ask(there, FLEET).lease is None
    assert ask(here, FLEET).lease is not None


def test_elsewhere__shows_other_hosts_only(clock: MovableClock) -> None:
    """The status page sees what other hosts found of the checks asked for, but not this host's, nor the fleet's."""
    stores = {host: on(host, clock) for host in "abc"}
    records = {host: run_now(store, clock) for host, store in stores.items()}
    run_now(stores["b"], clock, FLEET)
    run_now(stores["b"], clock, OTHER)
    assert stores["a"].elsewhere([KEY, FLEET]) == {host: {KEY: records[host]} for host in "bc"}
    assert stores["b"].elsewhere([OTHER]) == {}
    assert stores["a"].elsewhere([]) == {}
    assert on("a", clock, site="other").elsewhere([KEY]) == {}


def test_elsewhere__hosts_that_fell_silent(clock: MovableClock) -> None:
    """A host that publishes is shown; one that has not for ten minutes no longer is."""
    first, second = on("a", clock), on("b", clock)
    run_now(second, clock)
    clock.forward(NOTE_HOST_SECONDS + 1)
    run_now(second, clock)
    clock.forward(HOST_SECONDS - 1)
    assert list(first.elsewhere([KEY])) == ["b"]
    clock.forward(2)
    assert first.elsewhere([KEY]) == {}


def test_drained__elsewhere(clock: MovableClock) -> None:
    """A host knows which of the others are drained, as soon as it looks at their records."""
    here, there, third = on("a", clock), on("b", clock), on("c", clock)
    for store in (here, there, third):
        run_now(store, clock)
    there.drain(True)
    third.drain(False)
    assert here.elsewhere([KEY]).keys() == {"b", "c"}
    assert here.drained_elsewhere == {"b"}
    there.drain(False)
    here.elsewhere([KEY])
    assert here.drained_elsewhere == frozenset()
