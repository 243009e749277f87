"""Several hosts and sites on one cache, with clocks that are apart."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from health_check.stores import Key, Query
from health_check.stores.cache import HOST_SECONDS, NOTE_HOST_SECONDS
from tests.support.bench import MovableClock
from tests.support.hosts import FLEET, let_markers_expire, on, run_now
from tests.support.places import KEY, OTHER, Place, SteppingClock, ask, lease_of, look, publish

pytestmark = pytest.mark.usefixtures("own_cache")


def test_scope__host(clock: MovableClock) -> None:
    """What a host can reach is its own truth: leases, records and counts of others are not its."""
    first, second = on("a", clock), on("b", clock)
    lease = lease_of(first)
    assert lease_of(second).token != lease.token
    assert publish(first, Place(create_store=lambda c: first, clock=clock).run(), lease=lease).accepted
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
    assert first.generation != second.generation


@pytest.mark.parametrize(("name", "value"), [("SECRET_KEY", "another"), ("SETTINGS_MODULE", "other.settings")])
def test_site__by_default_from_the_settings(clock: MovableClock, settings: Settings, name: str, value: str) -> None:
    """A site that is not named is told by its secret and its settings module."""
    record = run_now(on("a", clock, site=None), clock)
    assert look(on("a", clock, site=None)).record == record
    setattr(settings, name, value)
    assert look(on("a", clock, site=None)).record is None


@pytest.mark.parametrize("step", [120.0, -120.0])
def test_marker__clocks_are_apart(clock: MovableClock, step: float) -> None:
    """A host ahead or behind neither reruns what is fresh nor shows it for ever, and its own runs count for others."""
    apart = SteppingClock()
    apart.step = step
    here, there = on("a", clock), on("b", apart)
    record = run_now(here, clock, FLEET)
    entry = ask(there, FLEET)
    assert (entry.record, entry.lease) == (record, None)
    assert 0 < entry.fresh_for <= 0.5
    let_markers_expire(there, FLEET)
    assert look(there, FLEET).fresh_for <= 0
    again = run_now(there, apart, FLEET)
    assert again.seq > record.seq
    entry = ask(here, FLEET)
    assert (entry.record, entry.lease) == (again, None)
    let_markers_expire(here, FLEET)
    assert ask(here, FLEET).lease is not None


@pytest.mark.parametrize("step", [120.0, -120.0])
def test_marker__is_that_of_the_record(clock: MovableClock, step: float) -> None:
    """A marker says nothing of any other record than the one it was set for."""
    apart = SteppingClock()
    apart.step = step
    here, there = on("a", clock), on("b", apart)
    run_now(here, clock, FLEET)
    assert there.look([Query(key=FLEET)])[0].fresh_for > 0
    assert there._cache is not None
    there._cache.set(there._marker_key(FLEET), "1.0 elsewhere 1", 30)
    assert there.look([Query(key=FLEET)])[0].fresh_for <= 0


def test_marker__does_not_matter_between_good_clocks(clock: MovableClock) -> None:
    """Between clocks that agree a record is fresh to the moment, though the marker lasts for whole seconds."""
    store = on("a", clock)
    run_now(store, clock, max_age=0.5)
    assert ask(store).lease is None
    clock.forward(0.6)
    assert ask(store).lease is not None


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
