"""What is kept in a Django cache: in few round trips, whatever else is there, and what options there are."""

from __future__ import annotations

import math
import pathlib
import secrets
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.core.cache.backends.locmem import LocMemCache

from health_check.records import Record
from health_check.stores import Key, Publication, Query, StoreError
from health_check.stores.cache import DjangoCacheStore
from tests.health_check.stores.conftest import LOCMEM, UseCache
from tests.support.bench import MovableClock
from tests.support.hosts import SITE, on, run_now
from tests.support.places import (
    BACKEND,
    ERROR,
    KEY,
    MAX_AGE,
    OTHER,
    ask,
    counted,
    lease_of,
    look,
    publish,
    record_of,
    result_at,
    run,
)

pytestmark = pytest.mark.usefixtures("own_cache")
DUMMY = "django.core.cache.backends.dummy.DummyCache"


class CountingCache(LocMemCache):
    """A cache that notes what it is asked, as each such call is a round trip; it makes room as a server does."""

    calls: ClassVar[list[str]] = []
    _max_entries: Any = math.inf

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self._max_entries


def _counting(name: str) -> Callable[..., Any]:
    """Return a method that notes its call, but not those that the base class makes of it."""

    def call(self: CountingCache, *args: Any, **kwargs: Any) -> Any:
        before = list(self.calls)
        value = getattr(LocMemCache, name)(self, *args, **kwargs)
        self.calls[:] = [*before, name]
        return value

    return call


for method in ("add", "delete", "delete_many", "get", "get_many", "has_key", "set", "set_many", "touch"):
    setattr(CountingCache, method, _counting(method))


@pytest.fixture
def calls(use_cache: UseCache) -> list[str]:
    """The calls to a cache of this test's own."""
    use_cache({"BACKEND": f"{__name__}.CountingCache", "LOCATION": secrets.token_hex(8)})
    CountingCache.calls.clear()
    return CountingCache.calls


def test_look__one_round_trip(clock: MovableClock, calls: list[str]) -> None:
    """However many checks are read, that is one round trip; leases of those that are fresh cost none."""
    store, keys = on("a", clock), [Key(label=f"check {number}") for number in range(20)]
    for key in keys:
        run_now(store, clock, key)
    calls.clear()
    entries = on("a", clock).look([Query(key=key, backend=BACKEND, lease_seconds=30.0) for key in keys])
    assert all(entry.record and not entry.lease for entry in entries)
    assert calls == ["get_many"]


def test_refresh__four_round_trips(clock: MovableClock, calls: list[str]) -> None:
    """A check that has expired costs four round trips, whoever was the last one, and whatever it finds."""
    first, second = on("a", clock), on("a", clock)
    for store in (first, second):  # which note their host once a minute
        run_now(store, clock)
    for store, messages in ((first, ()), (second, (ERROR,)), (first, (ERROR,))):
        clock.forward(MAX_AGE + 1)
        calls.clear()
        entry = ask(store)
        assert entry.lease is not None
        assert publish(store, result_at(clock.now(), *messages), lease=entry.lease, after=entry.record)
        assert calls == ["get_many", "add", "get_many", "set_many"]
        assert ask(store).lease is None
    assert counted(record_of(second)) == 5


def test_past__one_round_trip(clock: MovableClock, calls: list[str]) -> None:
    """The past of however many checks is read in one round trip; hosts that were not known cost one more."""
    keys = [Key(label=f"check {number}") for number in range(20)]
    for host in "ab":
        for key in keys:
            run_now(on(host, clock), clock, key)
    reader = on("a", clock)
    for expected in (["get_many", "get_many"], ["get_many"]):
        calls.clear()
        assert [sum(day.runs for day in past.days) for past in reader.past(keys).values()] == [2] * 20
        assert calls == expected


def test_publish__several_checks_in_one_round_trip(clock: MovableClock, calls: list[str]) -> None:
    """However many records are published, that is one round trip, and so is it to give leases back."""
    store, keys = on("a", clock), [Key(label=f"check {number}") for number in range(20)]
    for key in keys:  # the first time it is read back, too
        run_now(store, clock, key)
    clock.forward(MAX_AGE + 1)
    leases = [lease_of(store, key) for key in keys]
    record = Record.after(None, result_at(clock.now()), max_age=MAX_AGE)
    calls.clear()
    store.release(leases[10:])
    assert all(store.publish([Publication(lease=lease, record=record) for lease in leases[:10]]))
    assert calls == ["delete_many", "get_many", "set_many"]


GARBAGE = [None, 7, b"bytes", "", "{", "[]", '{"version": 2}', {"a": "dict"}, "null", "3 4", "[" * 99_999]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_look__garbage_is_ignored(clock: MovableClock, garbage: object) -> None:
    """What is no record is as good as none, for this check and all others; the next run makes one."""
    store = on("a", clock)
    other = run_now(store, clock, OTHER)
    assert store._cache is not None
    for name in (store._record_key(KEY), store._named("hosts")):
        store._cache.set(name, garbage)
    assert look(store).record is None
    assert look(store, OTHER).record == other
    assert store.elsewhere([KEY]) == {}
    record = run_now(store, clock)
    assert record_of(store) == record


@pytest.mark.parametrize("garbage", ["garbage", "3 x", "3 nan", "3 inf", "", 7, b"bytes"])
def test_look__garbage_instead_of_a_lease(clock: MovableClock, garbage: object) -> None:
    """A lease that nobody can have written is nobody's, even if it does not expire."""
    store = on("a", clock)
    store.probe()
    assert store._cache is not None
    store._cache.set(store._lease_key(KEY, 0), garbage, None)
    lease_of(store)
    assert ask(store).lease is None


def test_look__all_was_lost(clock: MovableClock) -> None:
    """After the cache was emptied each process begins anew, and counts from zero."""
    store, other = on("a", clock), on("a", clock)
    for _ in range(3):
        run_now(store, clock)
    look(other)
    assert store._cache is not None
    store._cache.clear()
    assert look(store).record is None
    run_now(other, clock)
    assert ask(store).lease is None
    assert record_of(store).seq == counted(record_of(store)) == 1


def test_publish__not_taken(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that refuses a document has failed: what a run leads to is bounded so that it fits any."""
    store = on("a", clock)
    lease, result = lease_of(store), result_at(clock.now())
    with monkeypatch.context() as patch:
        patch.setattr(LocMemCache, "set_many", lambda self, data, *args: list(data))
        with pytest.raises(StoreError, match="the cache 'default' does not take 2 of 2 documents"):
            publish(store, result, lease=lease)
    assert publish(store, result, lease=lease)


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (DUMMY, {}),
        (LOCMEM, {"MAX_ENTRIES": 0}),
        (LOCMEM, {"MAX_ENTRIES": 1, "CULL_FREQUENCY": 1}),
        (LOCMEM, {"MAX_ENTRIES": 5, "CULL_FREQUENCY": 0}),
    ],
)
def test_cache_that_keeps_nothing__is_no_store(
    clock: MovableClock, use_cache: UseCache, backend: str, options: dict[str, int]
) -> None:
    """A cache that keeps nothing, or drops it for the next key, is no store: not at first, and not after a loss."""
    use_cache({"BACKEND": backend, "LOCATION": secrets.token_hex(8), "OPTIONS": options})
    store = on("a", clock)
    store.probe()
    with pytest.raises(StoreError, match="the cache 'default' does not keep what is written"):
        publish(store, result_at(clock.now()), lease=lease_of(store))
    with pytest.raises(StoreError, match="the cache 'default' does not keep what is written"):
        store.verify()


def test_cache_that_keeps_what_has_ended__is_not_filled(
    clock: MovableClock, use_cache: UseCache, tmp_path: pathlib.Path
) -> None:
    """Files that have ended stay until others are dropped for them, too: leases would push out what is counted."""
    use_cache({"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path)})
    store, sizes = on("a", clock), []
    for _ in range(6):
        run(store, result_at(clock.now()))
        sizes.append(len(list(tmp_path.iterdir())))
    assert sizes[1:] == [sizes[1]] * 5


class SwallowingCache(LocMemCache):
    """A cache whose client hides that its server is gone, as some can be told to."""

    is_gone = False

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False if self.is_gone else super().add(*args, **kwargs)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return default if self.is_gone else super().get(key, default, version)

    def set(self, *args: Any, **kwargs: Any) -> None:
        if not self.is_gone:
            super().set(*args, **kwargs)


def test_client_that_swallows_errors(clock: MovableClock, use_cache: UseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that is not to be had and that nobody has means that the server is gone; it is back when it keeps."""
    use_cache({"BACKEND": f"{__name__}.SwallowingCache", "LOCATION": secrets.token_hex(8)})
    store = on("a", clock)
    record = run_now(store, clock)
    clock.forward(MAX_AGE + 1)
    lease = lease_of(store)
    monkeypatch.setattr(SwallowingCache, "is_gone", True)
    with pytest.raises(StoreError, match="does not keep what is written"):  # it went while the check ran
        publish(store, result_at(clock.now()), lease=lease)
    with pytest.raises(StoreError, match="the cache 'default' neither gives nor has a lease"):
        ask(store)
    with pytest.raises(StoreError, match="does not keep what is written"):
        store.verify()
    monkeypatch.setattr(SwallowingCache, "is_gone", False)
    store.verify()
    assert record_of(store) == record
    store.release([lease])
    lease_of(store)


def test_take__ended_meanwhile(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of another process that ends just when it is asked for is to be had."""
    store, refused = on("a", clock), []

    def add(self: LocMemCache, *args: Any, **kwargs: Any) -> bool:
        monkeypatch.undo()
        refused.append(args)
        return False

    monkeypatch.setattr(LocMemCache, "add", add)
    lease_of(store)
    assert refused


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
