"""What is kept in a Django cache: in few round trips, whatever else is there, and what options there are."""

from __future__ import annotations

import contextlib
import json
import pathlib
import secrets
from typing import Any, ClassVar

import pytest
from django.core.cache.backends.locmem import LocMemCache

from health_check.stores import Key, Lease, Query
from health_check.stores.cache import DjangoCacheStore
from tests.health_check.stores.conftest import LOCMEM, UseCache
from tests.support.bench import MovableClock
from tests.support.hosts import SITE, on, run_now
from tests.support.places import ERROR, KEY, MAX_AGE, OTHER, Place, ask, lease_of, look, publish, record_of

pytestmark = pytest.mark.usefixtures("own_cache")
DUMMY = "django.core.cache.backends.dummy.DummyCache"


class CountingCache(LocMemCache):
    """A cache that notes what it is asked, as each such call is a round trip."""

    calls: ClassVar[list[str]] = []

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._uncounted("get_many", *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._uncounted("get", *args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._uncounted("add", *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._uncounted("set", *args, **kwargs)

    def _uncounted(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Note a call, but not those that the base class makes of it."""
        before = list(self.calls)
        value = getattr(super(), name)(*args, **kwargs)
        self.calls[:] = [*before, name]
        return value


def test_look__one_round_trip(clock: MovableClock, use_cache: UseCache) -> None:
    """However many checks are read, that is one round trip; leases of those that are fresh cost none."""
    use_cache({"BACKEND": f"{__name__}.CountingCache", "LOCATION": secrets.token_hex(8)})
    store, keys = on("a", clock), [Key(label=f"check {number}") for number in range(20)]
    for key in keys:
        run_now(store, clock, key)
    CountingCache.calls.clear()
    entries = on("a", clock).look([Query(key=key, backend="tests.Database", lease_seconds=30.0) for key in keys])
    assert all(entry.record and not entry.lease for entry in entries)
    assert CountingCache.calls == ["get_many"]


GARBAGE = [None, 7, b"bytes", "", "{", "[]", '{"version": 2}', '{"version": 1}', {"a": "dict"}, "null", "3 4"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_look__garbage_is_ignored(clock: MovableClock, garbage: object) -> None:
    """What is no record is as good as none, for this check and all others; the next run makes one."""
    store = on("a", clock)
    other = run_now(store, clock, OTHER)
    assert store._cache is not None
    for name in (store._record_key(KEY), store._marker_key(KEY), store._named("hosts")):
        store._cache.set(name, garbage)
    assert look(store).record is None
    assert look(store, OTHER).record == other
    assert store.elsewhere([KEY]) == {}
    record = run_now(store, clock)
    assert record_of(store) == record


def test_look__garbage_instead_of_a_lease(clock: MovableClock) -> None:
    """A lease that nobody can have written is held by somebody since now, until it expires."""
    store = on("a", clock)
    store.probe()
    assert store._cache is not None
    store._cache.set(store._lease_key(KEY), "garbage", 30)
    assert ask(store).lease is None
    assert look(store).held_since == pytest.approx(clock.now(), abs=5)


def test_generation__all_was_lost(clock: MovableClock) -> None:
    """After the cache was emptied it is another life, and leases of the one before are no more."""
    store, other = on("a", clock), on("a", clock)
    run_now(store, clock)
    lease, before = lease_of(store, OTHER), store.generation
    assert store._cache is not None
    store._cache.clear()
    assert look(store).record is None
    other.probe()
    assert store.generation == other.generation
    assert store.generation != before
    result = Place(create_store=lambda clock: store, clock=clock).run()
    assert not publish(store, result, key=OTHER, lease=lease).accepted


def test_generation__is_settled(clock: MovableClock) -> None:
    """When the totals are complete is told with the generation."""
    store = on("a", clock)
    store.probe()
    store.settle_at(42.0)
    assert store._cache is not None
    assert json.loads(store._cache.get(store._named("life"))) == [store.generation, 42.0]
    other = on("b", clock)
    other.probe()
    assert (other.generation, other.settled_at) == (store.generation, 42.0)


def test_dummy__works_as_if_nothing_were_known(clock: MovableClock, use_cache: UseCache) -> None:
    """With a cache that keeps nothing every reading runs the check, and what was run is accepted."""
    use_cache({"BACKEND": DUMMY})
    first, second = on("a", clock), on("a", clock)
    first.probe()
    assert first.generation is None
    leases = [lease_of(first), lease_of(second), lease_of(first)]
    for store, lease in zip([first, second, first], leases, strict=True):
        result = Place(create_store=lambda clock: first, clock=clock).run(ERROR)
        entry = publish(store, result, lease=lease)
        assert entry.accepted
        assert entry.record is not None
        assert entry.record.result == result
        assert entry.fresh_for == pytest.approx(MAX_AGE, abs=1)
    assert look(first).record is None
    first.release(leases)
    first.release([Lease(key=KEY, token="x")])
    assert first.elsewhere([KEY]) == {}


@pytest.mark.parametrize(
    ("backend", "reaches"),
    [
        (LOCMEM, False),
        (DUMMY, False),
        ("django.core.cache.backends.redis.RedisCache", True),
        ("django.core.cache.backends.memcached.PyMemcacheCache", True),
        ("django.core.cache.backends.filebased.FileBasedCache", True),
    ],
)
def test_reaches_others__by_backend(
    use_cache: UseCache, backend: str, reaches: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache in a process's memory is seen by nobody else; that is told without connecting to anything."""
    monkeypatch.chdir(tmp_path)  # where a cache of files makes its folder
    use_cache({"BACKEND": backend, "LOCATION": "127.0.0.1:1"})
    store = on("a")
    assert store.reaches_others is reaches
    assert store.describe() == "the cache 'default', as host a"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"alias": "nope"}, "alias is 'nope', use a key of CACHES: default"),
        ({"alias": ""}, "alias is '', use a text that is not empty"),
        ({"alias": None}, "alias is None, use a"),
        ({"site": 3}, "site is 3, use a text"),
        ({"host": ""}, "host is '', use a text"),
        ({"hots": "x"}, "hots"),
    ],
)
def test_options__of_no_use(options: dict[str, Any], text: str) -> None:
    """An option that cannot work is refused, with the remedy."""
    with pytest.raises(TypeError, match=text):
        DjangoCacheStore(**options)


def test_options__default_host(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not named goes by the name that its system gives it."""
    monkeypatch.setattr("socket.gethostname", lambda: "a")
    record = run_now(DjangoCacheStore(site=SITE, clock=clock), clock)
    assert look(on("a", clock)).record == record


def test_release__nothing(clock: MovableClock) -> None:
    """Giving nothing back is no work, on whatever connection there is."""
    with contextlib.closing(on("a", clock)) as store:
        store.release([])
