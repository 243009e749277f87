"""The store that the hosts of a fleet share: a Django cache, on Redis or Memcached."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache
from django.utils.crypto import salted_hmac

from health_check.concurrency.clock import Clock
from health_check.records import Record
from health_check.stores import serializer
from health_check.stores.base import Key, Lease, Publication, Query, Store, Stored, StoreError

T = TypeVar("T")

UNSHARED = ("DummyCache", "LocMemCache")
"""Cache backends that no other process sees."""

LEAST_SECONDS = 2
"""The shortest time that a key can expire after: Django's backends drop fractions, and take zero for "delete"."""

HOSTS = "hosts"
DRAINING = "draining"

HOST_SECONDS = 600.0
"""For how long a host that publishes nothing is still shown."""

NOTE_HOST_SECONDS = 60.0
"""How often a process notes that its host is there."""


class DjangoCacheStore(Store):
    """Share records and leases through a Django cache.

    A lease is a key that only one process can add. It is named after the number of the record that it was taken on, so
    that it need not be given back: who publishes makes another number. A refresh takes three round trips.

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
        super().__init__(clock=clock)
        given: dict[str, object] = {"alias": alias, "site": site, "host": host}
        for name, value in given.items():
            if value == "" or not (value is None or isinstance(value, str)):
                raise TypeError(f"{name} is {value!r}, use a text that is not empty")
        if alias not in caches.settings:
            raise TypeError(f"alias is {alias!r}, use a key of CACHES: {', '.join(sorted(caches.settings))}")
        self._alias = alias
        self._host = host or socket.gethostname()
        self._prefix = f"health-check:{_digest(site) if site else _site()}"
        self._cache: BaseCache | None = caches.create_connection(
            alias
        )  # one of our own: Django closes those of requests
        self._memo = serializer.Memo()
        self._numbers: dict[Key, int] = {}
        self._host_noted_at = -math.inf
        getattr(self._cache, "_cache", None)  # imports the client, which may take as long as an answer may

    @property
    def reaches_others(self) -> bool:
        """Whether other processes see this cache at all."""
        return not str(caches.settings[self._alias].get("BACKEND", "")).endswith(UNSHARED)

    def describe(self) -> str:
        return f"the cache {self._alias!r}, as host {self._host}"

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        return self._do(lambda cache: self._elsewhere(cache, [key for key in keys if key.scope == "host"]))

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        self._do(lambda cache: (cache.add if unless_said else cache.set)(self._drain_key(), json.dumps(on), None))
        if not unless_said:
            self.draining = on

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._numbers.pop(key, None)

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

    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        """Read all that is known of some checks, in one round trip."""
        keys = [query.key for query in queries]
        leases = {key: self._lease_key(key, self._numbers.get(key, 0)) for key in keys}
        names = [self._drain_key(), *map(self._record_key, keys), *leases.values()]
        found: dict[str, Any] = self._do(lambda cache: cache.get_many(names))
        self.draining = {"true": True, "false": False}.get(str(found.get(self._drain_key())))
        return [self._stored(key, found, leases[key]) for key in keys]

    def _stored(self, key: Key, found: Mapping[str, Any], lease_key: str) -> Stored:
        name = self._record_key(key)
        record = self._memo.load(name, found.get(name))
        seq = self._numbers[key] = record.seq if record is not None else 0
        held = found.get(lease_key) if lease_key == self._lease_key(key, seq) else None
        return Stored(record=record, seq=seq, held_since=None if held is None else _since(held, self._clock.now()))

    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        monotonic = self._clock.monotonic()

        def take(cache: BaseCache) -> list[bool]:
            return [
                bool(
                    cache.add(
                        self._lease_key(lease.key, lease.seq),
                        f"{lease.token} {now}",
                        max(LEAST_SECONDS, math.ceil(lease.ends - monotonic)),
                    )
                )
                for lease in leases
            ]

        return self._do(take)

    def _write(self, publications: Sequence[Publication]) -> list[bool]:
        """Write records; that their leases are in force is known without asking: they have not ended."""
        records = {self._record_key(each.lease.key): serializer.dump(each.record) for each in publications}

        def write(cache: BaseCache) -> None:
            if failed := cache.set_many(records, None):
                raise StoreError(f"the cache {self._alias!r} did not take {len(failed)} records")
            with contextlib.suppress(Exception):  # what matters is written
                self._note_host(cache)

        self._do(write)
        return [True] * len(publications)

    def _drop(self, leases: Sequence[Lease]) -> None:
        self._do(lambda cache: cache.delete_many([self._lease_key(lease.key, lease.seq) for lease in leases]))

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

    def _named(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _of(self, key: Key, host: str | None = None) -> str:
        place = "" if key.scope == "fleet" else host or self._host
        return self._named(_digest(f"{key.scope}\n{place}\n{key.text}"))

    def _drain_key(self) -> str:
        return self._named(_digest(f"{DRAINING}\n{self._host}"))

    def _record_key(self, key: Key, host: str | None = None) -> str:
        return f"{self._of(key, host)}:record"

    def _lease_key(self, key: Key, seq: int) -> str:
        return f"{self._of(key)}:lease:{seq}"


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
