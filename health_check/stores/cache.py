"""The store that the hosts of a fleet share: a Django cache, on Redis or Memcached."""

from __future__ import annotations

import contextlib
import json
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.cache.backends.base import BaseCache

from health_check.concurrency.connections import is_shared_cache
from health_check.past import DAY
from health_check.records import Record, State
from health_check.stores import serializer
from health_check.stores.base import RELEASE_SECONDS, Key, Lease, Publication, Query, Stored, StoreError
from health_check.stores.cache_access import HOST_KEY_SECONDS, LEAST_SECONDS, values
from health_check.stores.cache_past import HOST_SECONDS, CachePast, added

MARK = "forced"


class DjangoCacheStore(CachePast):
    """Share records and leases through a Django cache.

    A lease is a key that only one process can add. It is named after the number of the record that it was taken on, so
    that it need not be given back: who publishes makes another number. A refresh takes four round trips.

    What is counted is read again just before it is written: two releases that publish a check within that round trip
    may lose a run from the counters.
    """

    mark_seconds = 2.0

    @property
    def reaches_others(self) -> bool:
        """Whether other processes can see this cache."""
        return is_shared_cache(self._alias)

    def describe(self) -> str:
        return f"the cache {self._alias!r}, as host {self._host}"

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        """Return the records of the other hosts that were known when the past was read last."""
        return self._do(lambda cache: self._elsewhere(cache, [key for key in keys if key.scope == "host"]))

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        def note(cache: BaseCache) -> None:
            (cache.add if unless_said else cache.set)(self._drain_key(), json.dumps(on), HOST_KEY_SECONDS)

        self._do(note)
        if not unless_said:
            self.draining = on

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._numbers.pop(key, None)
            self._published.discard(key)

    def verify(self) -> None:
        self._prove(())
        self.probe()

    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        """Read all that is known of some checks, in one round trip."""
        keys = [query.key for query in queries]
        leases = {key: self._lease_key(key, self._numbers.get(key, 0)) for key in keys}
        records = [name for key in keys for name in (self._record_key(key), self._own_key(key, self.site_release))]
        names = [self._drain_key(), self._named(MARK), *records, *leases.values()]
        found: dict[str, Any] = self._do(lambda cache: values(cache, names))
        self.draining = {"true": True, "false": False}.get(str(found.get(self._drain_key())))
        self.mark = found.get(self._named(MARK))
        return [self._stored(key, found, leases[key]) for key in keys]

    def _stored(self, key: Key, found: Mapping[str, Any], lease_key: str) -> Stored:
        name = self._record_key(key)
        latest = record = self._memo.load(name, found.get(name))
        if latest is None or latest.release != self.site_release:
            name = self._own_key(key, self.site_release)
            record = self._memo.load(name, found.get(name))
            if record is not None and latest is not None:
                record = record._replace(totals=latest.totals)
        seq = self._numbers[key] = record.seq if record is not None else 0
        held = found.get(lease_key) if lease_key == self._lease_key(key, seq) else None
        since = None if held is None else _since(held)
        return Stored(record=record, latest=latest, seq=seq, held_since=since)

    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        return [self._took(lease, now) for lease in leases]

    def _took(self, lease: Lease, now: float) -> bool:
        """Take a lease; if it can neither be taken nor found, the client hides that its server is gone."""
        name, value = self._lease_key(lease.key, lease.seq), f"{lease.token} {now}"
        seconds = max(LEAST_SECONDS, math.ceil(lease.ends - self._clock.monotonic()))
        if self._do(lambda cache: cache.add(name, value, seconds)):
            return True
        if held := self._do(lambda cache: values(cache, [name])):
            if self._is_credible(_since(held[name]), lease.outlasts):
                return False
            self._do(lambda cache: cache.delete(name))
        if not self._do(lambda cache: cache.add(name, value, seconds)):  # it had not just ended
            raise StoreError(f"the cache {self._alias!r} neither gives nor has a lease")
        return True

    def _write(self, publications: Sequence[Publication]) -> list[Record | None]:
        """Write records; that their leases are in force is known without asking: they have not ended."""
        named = [self._documents_of(each) for each in publications]
        found: dict[str, Any] = self._do(lambda cache: values(cache, [name for names in named for name in names]))
        records: list[Record | None] = []
        documents: dict[int, dict[str, str]] = {}
        for publication, (name, day, *failures) in zip(publications, named, strict=True):
            key = publication.lease.key
            latest = self._memo.load(name, text := found.get(name))
            if latest is not None and latest.release != self.site_release:
                documents.setdefault(RELEASE_SECONDS, {})[self._own_key(key, latest.release)] = str(text)
            record = self._following(publication, latest)
            addition = self._addition(key, record.result, latest)
            written = documents.setdefault(self._seconds(key), {})
            written[name] = serializer.dump(record)
            self._memo.note(name, written[name], record)
            written[day] = added(found.get(day), addition)
            for last in failures:
                written[last] = serializer.last_failures(found.get(last), addition.failures)
            records.append(record)
        for seconds, some in sorted(documents.items()):
            self._set(some, seconds)
        if not (self._is_proven and all(name in found for name, *_ in named)):
            self._prove([name for name, *_ in named])
        self._published.update(publication.lease.key for publication in publications)
        with contextlib.suppress(StoreError):  # what matters is written
            self._do(self._note_host)
            if self.most_entries is not None:  # it keeps what has ended, until it drops anything at random to make room
                former = [self._lease_key(each.lease.key, each.lease.seq - 1) for each in publications]
                self._do(lambda cache: cache.delete_many(former))
        return records

    def _documents_of(self, publication: Publication) -> list[str]:
        """Return the names of what a run changes: the record, the day, and the failures if it is one."""
        key, result = publication.lease.key, publication.record.result
        names = [self._record_key(key), self._day_key(key, int(result.finished // DAY))]
        return names if result.state is State.OK else [*names, self._failures_key(key)]

    def _raise_mark(self) -> None:
        self._do(lambda cache: cache.set(self._named(MARK), secrets.token_hex(8), HOST_KEY_SECONDS))

    def _drop(self, leases: Sequence[Lease]) -> None:
        self._do(lambda cache: cache.delete_many([self._lease_key(lease.key, lease.seq) for lease in leases]))

    def _elsewhere(self, cache: BaseCache, keys: Sequence[Key]) -> dict[str, dict[Key, Record]]:
        since = self._clock.now() - HOST_SECONDS
        hosts = [host for host, seen in self._hosts.items() if seen > since]
        names = {self._record_key(key, host): (host, key) for host in hosts if host != self._host for key in keys}
        found: dict[str, dict[Key, Record]] = {host: {} for host, _ in names.values()}
        marks = {self._drain_key(host): host for host in found}
        texts = values(cache, [*names, *marks]) if names else {}
        self.drained_elsewhere = frozenset(host for mark, host in marks.items() if texts.get(mark) == "true")
        for name, (host, key) in names.items():
            if (record := self._memo.load(name, texts.get(name))) is not None:
                found[host][key] = record
        return {host: records for host, records in sorted(found.items()) if records}


def _since(held: object) -> float:
    """Return when a lease began, Unix time in seconds; not a number where the value is none."""
    try:
        return float(str(held).split(" ")[1])
    except (IndexError, ValueError):
        return math.nan
