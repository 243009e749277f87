"""The store that the hosts of a fleet share: a Django cache, on Redis or Memcached."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache
from django.utils.crypto import salted_hmac

from health_check.concurrency import threads
from health_check.concurrency.clock import Clock
from health_check.records import Record
from health_check.stores import serializer
from health_check.stores.base import SETTLE_SECONDS, Key, Lease, Publication, Query, Store, StoreEntry, StoreError

T = TypeVar("T")

UNSHARED = ("DummyCache", "LocMemCache")
"""Cache backends that no other process sees."""

FUTURE_SECONDS = 2.0
"""How far the clocks of two hosts may be apart."""

LOOK_AGAIN_SECONDS = 0.5
"""For how long a record counts as fresh whose age cannot be told, as its host has another time."""

LEAST_SECONDS = 2
"""The shortest time that a key can expire after: Django's backends drop fractions, and take zero for "delete"."""

MOST_TRIES = 10
TRY_SECONDS = 0.01
"""How often, and after how long, to try to write totals that another process is just writing."""

WRITING_SECONDS = 10
"""After how long it counts as dead: a Memcached that was paused lets whole seconds pass at once."""

LIFE = "life"
HOSTS = "hosts"
DRAINING = "draining"

HOST_SECONDS = 600.0
"""For how long a host that publishes nothing is still shown."""

NOTE_HOST_SECONDS = 60.0
"""How often a process notes that its host is there."""


class DjangoCacheStore(Store):
    """Share records and leases through a Django cache.

    What a host can reach is that host's own truth: its checks have records of their own, and only checks of the
    scope ``"fleet"`` have one for all hosts. Leases expire on their own.

    Args:
        alias: The cache, a key of ``CACHES``.
        site: What tells this site from others on the same cache; default made of ``SECRET_KEY`` and the settings
            module.
        host: What tells this host from others; default its name.
        clock: Tells the time.

    Raises:
        TypeError: If an option is of no use.
    """

    def __init__(
        self, *, alias: str = "default", site: str | None = None, host: str | None = None, clock: Clock | None = None
    ) -> None:
        given: dict[str, object] = {"alias": alias, "site": site, "host": host}
        for name, value in given.items():
            if value == "" or not (value is None or isinstance(value, str)):
                raise TypeError(f"{name} is {value!r}, use a text that is not empty")
        if alias not in caches.settings:
            raise TypeError(f"alias is {alias!r}, use a key of CACHES: {', '.join(sorted(caches.settings))}")
        self._alias = alias
        self._host = host or socket.gethostname()
        self._prefix = f"health-check:{_digest(site) if site else _site()}"
        self._clock = clock or Clock()
        self._cache: BaseCache | None = caches.create_connection(
            alias
        )  # one of our own: Django closes those of requests
        self._memo = serializer.Memo()
        self._host_noted_at = -math.inf
        getattr(self._cache, "_cache", None)  # imports the client, which may take as long as an answer may

    @property
    def reaches_others(self) -> bool:
        """Whether other processes see this cache at all."""
        return not str(caches.settings[self._alias].get("BACKEND", "")).endswith(UNSHARED)

    def describe(self) -> str:
        return f"the cache {self._alias!r}, as host {self._host}"

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        return self._do(lambda cache: self._look(cache, queries))

    def publish(self, publications: Sequence[Publication]) -> list[StoreEntry]:
        return self._do(lambda cache: self._publish(cache, publications))

    def release(self, leases: Iterable[Lease]) -> None:
        self._do(lambda cache: self._release(cache, tuple(leases)))

    def forget(self, keys: Iterable[Key]) -> None:
        """Do nothing: other processes may still know the checks."""

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        return self._do(lambda cache: self._elsewhere(cache, [key for key in keys if key.scope == "host"]))

    def probe(self) -> None:
        self._do(lambda cache: self._fetch(cache, ()))

    def settle_at(self, moment: float) -> None:
        self._do(lambda cache: cache.set(self._named(LIFE), json.dumps([self.generation, moment]), None))
        self.settled_at = moment

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        self._do(lambda cache: (cache.add if unless_said else cache.set)(self._drain_key(), json.dumps(on), None))
        if not unless_said:
            self.draining = on

    def close(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            with contextlib.suppress(Exception):  # the client of a server that is gone
                cache.close()

    def _do(self, work: Callable[[BaseCache], T]) -> T:
        try:
            if self._cache is None:
                self._cache = caches.create_connection(self._alias)
            return work(self._cache)
        except (StoreError, InvalidCacheBackendError):
            raise
        except Exception as error:  # whatever this backend's client raises
            self.close()
            raise StoreError(f"the cache {self._alias!r}: {type(error).__name__}: {error}") from error

    def _look(self, cache: BaseCache, queries: Sequence[Query]) -> list[StoreEntry]:
        entries = self._entries(cache, [query.key for query in queries])
        taken = [self._taken(cache, query, entry) for query, entry in zip(queries, entries, strict=True)]
        leased = [number for number, entry in enumerate(taken) if entry.lease is not None]
        if leased:  # another process may have published just before we got its lease
            again = self._entries(cache, [queries[number].key for number in leased])
            for number, entry in zip(leased, again, strict=True):
                taken[number] = self._kept(cache, queries[number], taken[number], entry)
        return taken

    def _taken(self, cache: BaseCache, query: Query, entry: StoreEntry) -> StoreEntry:
        """Return the entry with the lease, if it is wanted and to be had."""
        seconds = query.lease_seconds
        if seconds is None or entry.held_since is not None or entry.suffices(query):
            return entry
        lease = Lease(key=query.key, token=secrets.token_hex(8))
        now = self._clock.now()
        got = cache.add(self._lease_key(query.key), f"{lease.token} {now}", max(LEAST_SECONDS, math.ceil(seconds)))
        if not got:
            return StoreEntry(record=entry.record, fresh_for=entry.fresh_for, held_since=now)
        return StoreEntry(record=entry.record, fresh_for=entry.fresh_for, lease=lease)

    def _kept(self, cache: BaseCache, query: Query, taken: StoreEntry, now: StoreEntry) -> StoreEntry:
        """Return the newest entry, with the lease if it is still wanted."""
        if taken.lease is None or now.suffices(query):
            self._release(cache, (taken.lease,) if taken.lease else ())
            return StoreEntry(record=now.record, fresh_for=now.fresh_for)
        return StoreEntry(record=now.record, fresh_for=now.fresh_for, lease=taken.lease)

    def _publish(self, cache: BaseCache, publications: Sequence[Publication]) -> list[StoreEntry]:
        keys = list(dict.fromkeys(publication.key for publication in publications))
        own = {p.key: self._mutex(cache, p.key, publications) for p in publications if p.lease is None}
        found = self._fetch(cache, keys)
        entries = {key: self._entry(key, found) for key in keys}
        answers, changed, leases = [], dict[Key, Record](), list[Lease]()
        for publication in publications:
            key, lease, before = publication.key, publication.lease, entries[publication.key]
            if lease is not None and not self._is_in_force(lease, found):
                answers.append(StoreEntry(record=before.record, fresh_for=before.fresh_for, accepted=False))
                continue
            lease = lease or own[key]
            if lease is None:  # two that add to the same totals at once would lose what one of them adds
                answers.append(StoreEntry(record=before.record, fresh_for=before.fresh_for, accepted=False))
                continue
            leases.append(lease)
            record = publication.applied_to(before.record, fresh=before.fresh_for > 0)
            if record is not None and record is not before.record:
                changed[key] = record
                same = before.record is not None and before.record.result == record.result
                left = record.fresh_until - self._clock.now()
                fresh_for = before.fresh_for if same else min(left, record.max_age)  # the clock may have been set back
                entries[key] = StoreEntry(record=record, fresh_for=fresh_for)
            answers.append(entries[key])
        self._write(cache, changed)
        with contextlib.suppress(Exception):  # what is written must not count as missed; leases expire
            self._release(cache, leases)
            self._note_host(cache)
        return answers

    def _mutex(self, cache: BaseCache, key: Key, publications: Sequence[Publication]) -> Lease | None:
        """Return the lease of a check for as long as its record is being written, None if it is not to be had."""
        lease = Lease(key=key, token=secrets.token_hex(8))
        ours = {p.lease.token: p.lease for p in publications if p.lease is not None and p.key == key}
        for _ in range(MOST_TRIES):
            if cache.add(self._lease_key(key), f"{lease.token} {self._clock.now()}", WRITING_SECONDS):
                return lease
            held = str(cache.get(self._lease_key(key), "")).split(" ")[0]
            if held in ours:
                return ours[held]
            threads.original("time", "sleep")(random.uniform(0.5, 1.5) * TRY_SECONDS)  # noqa: S311 - nothing to guess
        return None

    def _is_in_force(self, lease: Lease, found: Mapping[str, Any]) -> bool:
        token = str(found.get(self._lease_key(lease.key), "")).split(" ")[0]
        return token == lease.token or self.generation is None  # a cache that keeps nothing keeps no leases

    def _write(self, cache: BaseCache, records: Mapping[Key, Record]) -> None:
        if not records:
            return
        failed = cache.set_many(
            {self._record_key(key): serializer.dump(record) for key, record in records.items()}, None
        )
        if failed:
            raise StoreError(f"the cache {self._alias!r} did not take {len(failed)} records")
        markers: dict[int, dict[str, str]] = {}
        for key, record in records.items():
            seconds = math.ceil(min(record.max_age, record.fresh_until - self._clock.now()))
            if seconds > 0:
                markers.setdefault(max(LEAST_SECONDS, seconds), {})[self._marker_key(key)] = record.result_id
        with contextlib.suppress(Exception):  # what matters is written
            for seconds, values in markers.items():
                cache.set_many(values, seconds)

    def _release(self, cache: BaseCache, leases: Sequence[Lease]) -> None:
        names = {self._lease_key(lease.key): lease.token for lease in leases}
        found = cache.get_many(list(names)) if names else {}
        ours = [name for name, token in names.items() if str(found.get(name, "")).split(" ")[0] == token]
        if ours:
            cache.delete_many(ours)

    def _elsewhere(self, cache: BaseCache, keys: Sequence[Key]) -> dict[str, dict[Key, Record]]:
        since = self._clock.now() - HOST_SECONDS
        hosts = [host for host, seen in _hosts(cache.get(self._named(HOSTS))).items() if seen > since]
        names = {self._record_key(key, host): (host, key) for host in hosts if host != self._host for key in keys}
        found: dict[str, dict[Key, Record]] = {host: {} for host, _ in names.values()}
        for name, text in cache.get_many(list(names)).items() if names else ():
            host, key = names[name]
            if (record := self._memo.load(name, text)) is not None:
                found[host][key] = record
        return {host: records for host, records in sorted(found.items()) if records}

    def _note_host(self, cache: BaseCache) -> None:
        if self._clock.monotonic() < self._host_noted_at + NOTE_HOST_SECONDS:
            return
        self._host_noted_at = self._clock.monotonic()
        now = self._clock.now()
        hosts = {host: seen for host, seen in _hosts(cache.get(self._named(HOSTS))).items() if seen > now - 86400.0}
        cache.set(self._named(HOSTS), json.dumps({**hosts, self._host: now}), None)

    def _entries(self, cache: BaseCache, keys: Sequence[Key]) -> list[StoreEntry]:
        found = self._fetch(cache, keys)
        return [self._entry(key, found) for key in keys]

    def _fetch(self, cache: BaseCache, keys: Sequence[Key]) -> dict[str, Any]:
        """Read all that is known of some checks, in one round trip."""
        names = [name(key) for key in keys for name in (self._record_key, self._lease_key, self._marker_key)]
        found: dict[str, Any] = cache.get_many([self._named(LIFE), self._drain_key(), *names])
        self._read_life(cache, found.get(self._named(LIFE)))
        self.draining = {"true": True, "false": False}.get(str(found.get(self._drain_key())))
        return found

    def _entry(self, key: Key, found: Mapping[str, Any]) -> StoreEntry:
        name = self._record_key(key)
        record = self._memo.load(name, found.get(name))
        held = found.get(self._lease_key(key))
        return StoreEntry(
            record=record,
            fresh_for=-math.inf if record is None else self._fresh_for(record, found.get(self._marker_key(key))),
            held_since=None if held is None else _since(held, self._clock.now()),
        )

    def _fresh_for(self, record: Record, marker: object) -> float:
        """Return for how long a record is fresh, by the clock of the cache where the hosts' are apart.

        The marker expires with the record; that it does so by whole seconds is why it does not decide otherwise.
        """
        now = self._clock.now()
        fresh_for = record.fresh_until - now
        apart = record.result.finished > now + FUTURE_SECONDS or fresh_for < -FUTURE_SECONDS
        if not apart:
            return min(fresh_for, record.max_age)
        if marker == record.result_id:
            return min(LOOK_AGAIN_SECONDS, record.max_age)
        return min(fresh_for, -1e-9) if fresh_for < 0 else -math.inf

    def _read_life(self, cache: BaseCache, text: object) -> None:
        """Learn the generation from what is stored, or begin one."""
        if text is None:
            settled_at = 0.0 if self.generation is None else self._clock.now() + SETTLE_SECONDS
            cache.add(self._named(LIFE), json.dumps([secrets.token_hex(8), settled_at]), None)
            text = cache.get(self._named(LIFE))
        try:
            generation, settled_at = json.loads(str(text))
            self.generation, self.settled_at = str(generation), float(settled_at)
        except (TypeError, ValueError):  # a cache that keeps nothing, or somebody else's value
            self.generation, self.settled_at = None, 0.0

    def _named(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _of(self, key: Key, host: str | None = None) -> str:
        place = "" if key.scope == "fleet" else host or self._host
        return self._named(_digest(f"{key.scope}\n{place}\n{key.text}"))

    def _drain_key(self) -> str:
        return self._named(_digest(f"{DRAINING}\n{self._host}"))

    def _record_key(self, key: Key, host: str | None = None) -> str:
        return f"{self._of(key, host)}:record"

    def _lease_key(self, key: Key) -> str:
        return f"{self._of(key)}:lease"

    def _marker_key(self, key: Key) -> str:
        return f"{self._of(key)}:fresh"


def _site() -> str:
    module = str(getattr(settings, "SETTINGS_MODULE", ""))
    return salted_hmac("health_check.stores", module, algorithm="sha256").hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _since(held: object, now: float) -> float:
    try:
        return float(str(held).split(" ")[1])
    except (IndexError, ValueError):
        return now


def _hosts(text: object) -> dict[str, float]:
    try:
        hosts = json.loads(text) if isinstance(text, str) else {}
        return {str(host): float(seen) for host, seen in hosts.items()}
    except (AttributeError, TypeError, ValueError):
        return {}
