"""Redis and Memcached as stores: what expires there, and how a store gets over their end."""

from __future__ import annotations

import contextlib
import functools
import gc
import pathlib
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from health_check.stores import Key, StoreError
from health_check.stores.cache import DjangoCacheStore
from tests.health_check.stores.conftest import UseCache
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.client import eventually
from tests.support.hosts import FLEET, SITE
from tests.support.places import (
    ERROR,
    KEY,
    OTHER,
    Place,
    ask,
    ended,
    lease_of,
    look,
    publish,
    record_of,
    run,
)

pytestmark = pytest.mark.server

Start = Callable[..., contextlib.AbstractContextManager[CacheServer]]
IMPATIENT = {redis_server: {"socket_timeout": 1.0}, memcached_server: {"timeout": 1.0}}

DAY = 86400


@pytest.fixture
def client(redis: CacheServer) -> Iterator[Redis]:
    """A client of the Redis, to see what Django does there."""
    with contextlib.closing(Redis(port=redis.port, decode_responses=False)) as made:
        yield made


def seconds_left(client: Redis, store: DjangoCacheStore, name: str) -> float:
    """Return after how many seconds a key expires; -1 for never."""
    assert store._cache is not None
    milliseconds: int = client.pttl(store._cache.make_key(name))
    assert milliseconds != -2, f"no key {name}"
    return milliseconds / 1000 if milliseconds >= 0 else -1


def test_expiry__of_each_key(redis_place: Place, client: Redis) -> None:
    """A lease lasts as long as it is meant to, to the second; a host's record for two days, the fleet's for a week."""
    store = redis_place.open()
    assert isinstance(store, DjangoCacheStore)
    lease_of(store)
    assert 29 < seconds_left(client, store, store._lease_key(KEY, 0)) <= 30
    brief = Key(label="brief")
    assert ask(store, brief, lease_seconds=0.05).lease is not None
    assert 1 < seconds_left(client, store, store._lease_key(brief, 0)) <= 2
    odd = Key(label="odd")
    assert ask(store, odd, lease_seconds=6.2).lease is not None
    assert 6 < seconds_left(client, store, store._lease_key(odd, 0)) <= 7
    other = Key(label="other")
    run(store, redis_place.run(), key=other)
    today = int(redis_place.clock.now() // DAY)
    for name in (store._record_key(other), store._day_key(other, today), store._named("hosts")):
        assert 2 * DAY - 60 < seconds_left(client, store, name) <= 2 * DAY
    run(store, redis_place.run(), key=FLEET)
    assert 7 * DAY - 60 < seconds_left(client, store, store._record_key(FLEET)) <= 7 * DAY


VALUES: dict[str, Callable[[DjangoCacheStore], str]] = {
    "record": lambda store: store._record_key(KEY),
    "lease": lambda store: store._lease_key(KEY, 0),
    "day": lambda store: store._day_key(KEY, int(store._clock.now() // DAY)),
    "days": lambda store: store._days_key(KEY),
    "failures": lambda store: store._failures_key(KEY),
    "draining": lambda store: store._drain_key(),
    **{name: functools.partial(DjangoCacheStore._named, name=name) for name in ("hosts", "checks", "forced")},
    "tidied": lambda store: store._named(f"tidied:{int(store._clock.now() // DAY)}"),
}


@pytest.mark.parametrize("value", VALUES)
def test_look__value_that_cannot_be_read(redis_place: Place, client: Redis, value: str) -> None:
    """One value that is damaged, or of a class that this process does not have, is none; all others are read."""
    store = redis_place.open()
    assert isinstance(store, DjangoCacheStore)
    assert store._cache is not None
    other = run(store, redis_place.run(), key=OTHER)
    client.set(
        store._cache.make_key(VALUES[value](store)), b"cno_module\nclass\n." if value != "day" else b"\x80damaged"
    )
    found = redis_place.open()
    assert record_of(found, OTHER) == other
    record = run(found, redis_place.run(ERROR))
    assert record_of(store) == record
    assert [day.runs for past in found.past([KEY, OTHER]).values() for day in past.days] == [1, 1]
    assert len(found.past_failures([KEY])[KEY]) == 1


@pytest.mark.parametrize("place", ["redis_place", "memcached_place"], indirect=True)
def test_expiry__of_a_lease_whose_holder_is_gone(place: Place) -> None:
    """The server lets a lease end, so that another process has the next; who had it first publishes no more."""
    first, second = place.open(), place.open()
    late = ask(first, lease_seconds=0.05).lease
    assert late is not None
    assert ask(second).lease is None
    eventually(lambda: ask(second).lease, what="the lease", seconds=10)
    assert not publish(first, place.run(), lease=late)
    assert look(second).record is None


def test_close__leaves_no_connection(redis_place: Place, client: Redis) -> None:
    """A store that is closed has no connection left, whether or not its garbage is collected."""
    client.client_kill_filter(skipme=True)  # what other tests have left: django-redis keeps connections in a pool
    store = redis_place.open()
    gc.disable()
    try:
        for _ in range(3):
            store.probe()
            store.close()
        eventually(lambda: connected(client) == 1, what="the end of the store's connections")  # and of former tests'
    finally:
        gc.enable()


def connected(client: Redis) -> int:
    """Return how many clients a Redis has; it notes a moment later that one has gone."""
    found = client.info("clients")
    assert isinstance(found, dict)
    return int(found["connected_clients"])


def test_hosts__are_noted_again_in_a_server_that_lost_all(redis_place: Place, client: Redis) -> None:
    """A host is among the hosts as soon as the store is used again after it could not be."""
    store = redis_place.open()
    assert isinstance(store, DjangoCacheStore)
    run(store, redis_place.run())
    client.flushall()
    store.close()
    run(store, redis_place.run())
    assert seconds_left(client, store, store._named("hosts")) > 0


def test_django_redis__keeps_records(redis: CacheServer, use_cache: UseCache) -> None:
    """Its client is another than Django's, and returns nothing where that returns what failed."""
    pytest.importorskip("django_redis")
    use_cache(redis.configuration(BACKEND="django_redis.cache.RedisCache"))
    place = Place(create_store=lambda clock: DjangoCacheStore(site=SITE, clock=clock))
    record = run(place.open(), place.run())
    assert record_of(place.open()) == record
    place.close()


@pytest.mark.parametrize("start", [redis_server, memcached_server])
def test_server__paused_and_killed_and_back(tmp_path: pathlib.Path, use_cache: UseCache, start: Start) -> None:
    """Without its server a store fails and says which cache; what a paused one kept is still there, a new one is empty.

    A server that says nothing fails when the client's timeout is over.
    """
    with start(tmp_path / "first") as server:
        use_cache(server.configuration(OPTIONS=IMPATIENT[start]))
        store = DjangoCacheStore(site=SITE)
        place = Place(create_store=lambda clock: store)
        record = run(store, place.run())
        server.pause()
        with pytest.raises(StoreError, match=r"(?i)time"):
            store.probe()
        server.resume()
        assert look(store).record == record
        lease = lease_of(store, force=True)
        server.kill()
        works: list[Callable[[], object]] = [
            store.probe,
            lambda: look(store),
            lambda: publish(store, place.run(), lease=lease),
            lambda: publish(store, place.run(), lease=ended(lease)),
            lambda: store.release([lease]),
            lambda: store.drain(True),
        ]
        for work in works * 2:  # never as an empty one would do it, whether or not it is closed after a failure
            with pytest.raises(StoreError, match="the cache 'default': "):
                work()
        store.close()
        with pytest.raises(StoreError):
            look(store)
        with start(tmp_path / "second", port=server.port):
            assert look(store).record is None
            record = run(store, place.run())
            store.close()
            assert (record_of(store), record.seq) == (record, 1)
            store.close()
