"""Hosts that share a Django cache."""

from __future__ import annotations

from health_check.records import Record
from health_check.stores import Key
from health_check.stores.cache import DjangoCacheStore
from tests.support.bench import MovableClock
from tests.support.places import KEY, MAX_AGE, Place, run

SITE = "tests"
FLEET = Key(label="Status", scope="fleet")


def on(host: str, clock: MovableClock | None = None, *, site: str | None = SITE) -> DjangoCacheStore:
    """Return the store of a host."""
    return DjangoCacheStore(site=site, host=host, clock=clock)


def run_now(store: DjangoCacheStore, clock: MovableClock, key: Key = KEY, *, max_age: float = MAX_AGE) -> Record:
    """Have a check run on a host, by that host's time."""
    return run(store, Place(create_store=lambda clock: store, clock=clock).run(), key=key, max_age=max_age)
