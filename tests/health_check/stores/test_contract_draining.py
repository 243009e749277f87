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
from tests.support.hosts import FLEET, on
from tests.support.places import KEY, Place, lease_of, look, record_of, run

HOST_SERVERS = [pytest.param("redis", marks=pytest.mark.server), pytest.param("memcached", marks=pytest.mark.server)]


def said_by(store: Store) -> bool | None:
    """Return what a store says after having been asked."""
    store.probe()
    return store.draining


def test_drain__all_learn_of_it(place: Place) -> None:
    """What one process says all others are told, and those that come later; whoever asks for checks learns of it, too.

    Before, it is not known; the memory of one process knows that it is not. A store need not have been used before.
    """
    first, second, looking, publishing = (place.open() for _ in range(4))
    assert not said_by(second)
    assert (second.draining is None) is second.shared
    for on_ in (True, True, False, False, True):
        first.close()
        first.drain(on_)
        assert first.draining is on_
        first.close()
        look(looking)
        run(publishing, place.run())
        assert [said_by(first), said_by(second), said_by(place.open())] == [on_] * 3
        assert looking.draining is publishing.draining is on_


def test_drain__stays_and_so_does_all_else(place: Place) -> None:
    """A host may be drained for days, and is so until it is said otherwise; records and leases are not touched."""
    store = place.open()
    record = run(store, place.run())
    lease = lease_of(store, force=True)
    for on_ in (False, True):
        store.drain(on_)
        other = place.open()
        assert record_of(other) == record
        assert look(other).held_since is not None
    store.release([lease])
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
