"""What every store promises of the mark that its host is drained."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3

import pytest

from health_check.stores import Store, StoreError
from health_check.stores.sqlite import SQLiteStore
from tests.health_check.stores.conftest import UseCache
from tests.support.bench import MovableClock
from tests.support.caches import CacheServer
from tests.support.hosts import FLEET, SITE, on
from tests.support.places import KEY, Place, lease_of, look, record_of, run

HOST_SERVERS = [pytest.param("redis", marks=pytest.mark.server), pytest.param("memcached", marks=pytest.mark.server)]


def said_by(store: Store) -> bool | None:
    """Return what a store says after having been asked."""
    store.probe()
    return store.draining


def test_draining__nobody_has_said_so(place: Place) -> None:
    """Of a new store it is not known whether the host is drained; the memory of one process knows that it is not."""
    store = place.open()
    said = said_by(store)
    assert not said
    assert (said is None) is store.shared


def test_drain__all_learn_of_it(place: Place) -> None:
    """What one process says all others are told, and those that come later, until it is said otherwise."""
    first, second = place.open(), place.open()
    assert not said_by(second)
    first.drain(True)
    assert first.draining is True
    assert said_by(second) is True
    assert said_by(place.open()) is True
    second.drain(False)
    assert second.draining is False
    assert said_by(first) is False
    assert said_by(place.open()) is False


def test_drain__before_anything_else(place: Place) -> None:
    """A store need not have been used before, nor be open; to say it again changes nothing."""
    store = place.open()
    for on_ in (True, True, False, False, True):
        store.close()
        store.drain(on_)
        store.close()
        assert said_by(store) is on_


def test_draining__whoever_looks_knows(place: Place) -> None:
    """A process that asks for checks, or publishes them, learns of it on the way."""
    first, looking, publishing = place.open(), place.open(), place.open()
    first.drain(True)
    look(looking)
    assert looking.draining is True
    run(publishing, place.run())
    assert publishing.draining is True
    first.drain(False)
    look(looking)
    assert looking.draining is False


def test_drain__records_and_leases_stay(place: Place) -> None:
    """Nothing else in the store is touched."""
    store = place.open()
    record = run(store, place.run())
    lease = lease_of(store, force=True)
    for on_ in (True, False):
        store.drain(on_)
        other = place.open()
        assert record_of(other) == record
        assert look(other).held_since is not None
    store.release([lease])


def test_drain__does_not_expire(place: Place) -> None:
    """A host may be drained for days."""
    place.open().drain(True)
    place.clock.forward(30 * 86400)
    assert said_by(place.open()) is True


def test_drain__unless_it_was_said(place: Place) -> None:
    """A process that remembers it tells a store that has lost it, but does not gainsay what is known there."""
    first, second = place.open(), place.open()
    if first.shared:
        first.drain(True, unless_said=True)
        assert said_by(second) is True
    second.drain(False)
    first.drain(True, unless_said=True)
    assert said_by(second) is False


@pytest.mark.parametrize("server", HOST_SERVERS)
def test_cache__each_host_by_itself(server: str, request: pytest.FixtureRequest, use_cache: UseCache) -> None:
    """On one cache each host is drained for itself, and so is each site."""
    cache: CacheServer = request.getfixturevalue(server)
    use_cache(cache.configuration())
    with contextlib.ExitStack() as stack:
        a, b, c = (stack.enter_context(contextlib.closing(on(host))) for host in "abc")
        stranger = stack.enter_context(contextlib.closing(on("a", site="other")))
        a.drain(True)
        b.drain(False)
        assert [said_by(host) for host in (a, b, c)] == [True, False, None]
        assert said_by(stranger) is None
        a.drain(False)
        b.drain(True)
        assert [said_by(host) for host in (a, b, c)] == [False, True, None]


@pytest.mark.usefixtures("own_cache")
def test_cache__hosts_of_odd_names(clock: MovableClock) -> None:
    """A host's name can be any text, and none is taken for another, nor for a check."""
    names = ["a", "A", "a ", "größe", "x" * 400, "a\nb", "draining", KEY.label]
    on("draining").drain(True)
    run(on("draining", clock), Place(create_store=on, clock=clock).run(), key=FLEET)  # type: ignore[arg-type]
    for name in names:
        assert said_by(on(name)) is (True if name == "draining" else None)


@pytest.mark.parametrize("value", ["", "x", "[]", "1", "null", "True", "0"])
@pytest.mark.usefixtures("own_cache")
def test_cache__somebody_elses_value(value: str) -> None:
    """What the store has not written says nothing."""
    store = on("a")
    store.probe()
    assert store._cache is not None
    store._cache.set(store._drain_key(), value, None)
    assert said_by(store) is None


def test_sqlite__is_of_the_file(sqlite_place: Place, file: pathlib.Path) -> None:
    """Another file knows nothing of it, nor does one that took the place of the first, until it is said again."""
    first, second = sqlite_place.open(), sqlite_place.open()
    first.drain(True)
    with contextlib.closing(SQLiteStore(path=file.with_name("other"))) as store:
        assert said_by(store) is None
    file.unlink()
    assert [said_by(first), said_by(second)] == [None, None]
    second.drain(True)
    assert said_by(first) is True
    file.unlink()
    first.drain(False)
    assert said_by(second) is False


def test_sqlite__file_that_is_locked(sqlite_place: Place, file: pathlib.Path) -> None:
    """Where it cannot be written, that is said, and nothing is changed; later it can."""
    store = sqlite_place.open()
    store.drain(False)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            store.drain(True)
        other.execute("ROLLBACK")
    assert said_by(store) is False
    store.drain(True)
    assert said_by(store) is True


def test_cache__server_that_is_gone(use_cache: UseCache) -> None:
    """Where it cannot be written, that is said."""
    use_cache({"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"})
    with pytest.raises(StoreError, match="the cache 'default'"):
        on("a", site=SITE).drain(True)
