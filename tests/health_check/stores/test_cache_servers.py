"""Redis and Memcached as stores: what expires there, and how a store gets over their end."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from health_check.stores import Key, Query, StoreError
from health_check.stores.cache import DjangoCacheStore
from tests.health_check.stores.conftest import UseCache
from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.client import eventually
from tests.support.hosts import SITE
from tests.support.places import (
    BACKEND,
    KEY,
    MAX_AGE,
    Place,
    SteppingClock,
    ask,
    lease_of,
    look,
    publish,
    record_of,
    run,
)

pytestmark = pytest.mark.server

Start = Callable[..., contextlib.AbstractContextManager[CacheServer]]
IMPATIENT = {redis_server: {"socket_timeout": 1.0}, memcached_server: {"timeout": 1.0}}


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


def test_expiry__leases_and_markers_but_no_records(redis_place: Place, client: Redis) -> None:
    """A lease lasts as long as it is meant to, to the second; a record stays whatever its age."""
    store = redis_place.open()
    assert isinstance(store, DjangoCacheStore)
    lease_of(store)
    assert 29 < seconds_left(client, store, store._lease_key(KEY)) <= 30
    brief = Key(label="brief")
    assert ask(store, brief, lease_seconds=0.05).lease is not None
    assert 1 < seconds_left(client, store, store._lease_key(brief)) <= 2
    odd = Key(label="odd")
    assert ask(store, odd, lease_seconds=6.2).lease is not None
    assert 6 < seconds_left(client, store, store._lease_key(odd)) <= 7
    other = Key(label="other")
    run(store, redis_place.run(), key=other)
    assert seconds_left(client, store, store._record_key(other)) == -1
    assert MAX_AGE - 1 < seconds_left(client, store, store._marker_key(other)) <= MAX_AGE
    assert seconds_left(client, store, store._named("life")) == -1
    assert seconds_left(client, store, store._named("hosts")) == -1
    run(store, redis_place.run(), key=other, max_age=0.1)
    assert 1 < seconds_left(client, store, store._marker_key(other)) <= 2


def test_look__one_command(redis_place: Place, client: Redis) -> None:
    """However many checks are read, Redis gets one command."""
    store = redis_place.open()
    keys = [Key(label=f"check {number}") for number in range(20)]
    for key in keys:
        run(store, redis_place.run(), key=key)
    before = commands(client)
    assert all(entry.record for entry in store.look([Query(key=key, backend=BACKEND) for key in keys]))
    after = commands(client)
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)} == {
        "info": 1,
        "mget": 1,
    }


def commands(client: Redis) -> dict[str, int]:
    """Return how often Redis was given each command."""
    found = client.info("commandstats")
    assert isinstance(found, dict)
    return {name.removeprefix("cmdstat_"): int(numbers["calls"]) for name, numbers in found.items()}


@pytest.mark.parametrize("step", [120.0, -120.0])
def test_marker__really_expires(redis_place: Place, step: float) -> None:
    """A host whose clock is two minutes off waits for max_age as the others do, and then runs the check."""
    fleet, apart = Key(label="Status", scope="fleet"), SteppingClock()
    apart.step = step
    here, there = redis_place.open(), redis_place.open(apart)
    run(here, redis_place.run(), key=fleet, max_age=1.0)
    start = time.monotonic()
    eventually(lambda: ask(there, fleet).lease, what="the lease", seconds=10)
    assert 0.9 < time.monotonic() - start < 6


@pytest.mark.parametrize("start", [redis_server, memcached_server])
def test_server__killed_and_back(tmp_path: pathlib.Path, use_cache: UseCache, start: Start) -> None:
    """Without its server a store fails and says which cache; with a new one it works, in another life."""
    with start(tmp_path / "first") as server:
        use_cache(server.configuration())
        store = DjangoCacheStore(site=SITE)
        place = Place(create_store=lambda clock: store)
        run(store, place.run())
        before = store.generation
        server.kill()
        for _ in range(5):
            with pytest.raises(StoreError, match="the cache 'default': "):
                store.probe()
            store.close()  # as the store client does after a failure
    for work in (lambda: look(store), lambda: publish(store, place.run()), lambda: store.release([])):
        with contextlib.suppress(StoreError):  # nothing worse
            work()
    store.close()
    with start(tmp_path / "second", port=server.port):
        assert look(store).record is None
        assert store.generation != before
        record = run(store, place.run())
        store.close()
        assert (record_of(store), record.seq) == (record, 1)
        store.close()


@pytest.mark.parametrize("start", [redis_server, memcached_server])
def test_server__killed_is_told_every_time(tmp_path: pathlib.Path, use_cache: UseCache, start: Start) -> None:
    """A store without its server never looks like an empty one, also where nobody closes it after a failure."""
    with start(tmp_path) as server:
        use_cache(server.configuration())
        store = DjangoCacheStore(site=SITE)
        store.probe()
        server.kill()
        for _ in range(5):
            with pytest.raises(StoreError):
                look(store)
    with start(tmp_path / "second", port=server.port):
        run(store, Place(create_store=lambda clock: store).run())
        store.close()


@pytest.mark.parametrize("start", [redis_server, memcached_server])
def test_server__paused(tmp_path: pathlib.Path, use_cache: UseCache, start: Start) -> None:
    """A server that says nothing is a StoreError when the client's timeout is over; what it kept is still there."""
    with start(tmp_path) as server:
        use_cache(server.configuration(OPTIONS=IMPATIENT[start]))  # type: ignore[index]
        store = DjangoCacheStore(site=SITE)
        record = run(store, Place(create_store=lambda clock: store).run())
        server.pause()
        with pytest.raises(StoreError, match=r"(?i)time"):
            store.probe()
        store.close()
        server.resume()
        assert look(store).record == record
        store.close()


def test_redis__restarted_with_what_it_kept(tmp_path: pathlib.Path, use_cache: UseCache) -> None:
    """Records that Redis keeps on disk outlive its restart, and it is the same life."""
    keep = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *keep) as server:
        use_cache(server.configuration())
        store = DjangoCacheStore(site=SITE)
        record = run(store, Place(create_store=lambda clock: store).run())
        before = store.generation
        server.kill()
    with redis_server(tmp_path, *keep, port=server.port):
        store.close()
        assert look(store).record == record
        assert store.generation == before
        store.close()
