"""The store that the hosts of a fleet share: a Django cache, on Redis or Memcached."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache

from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_cache
from health_check.past import DAY, DAYS, HALF_HOUR, Addition, Change, Failure, Past
from health_check.records import Kind, Record, State
from health_check.stores import cache_past, serializer
from health_check.stores.base import (
    RELEASE_SECONDS,
    UNUSED_SECONDS,
    Key,
    Lease,
    Publication,
    Query,
    Store,
    Stored,
    StoreError,
)
from health_check.stores.cache_past import Document
from health_check.stores.site import digest

T = TypeVar("T")

UNSHARED = ("DummyCache", "LocMemCache")
"""Cache backends that no other process sees."""

LEAST_SECONDS = 2
"""The shortest time that a key can expire after: Django's backends drop fractions, and take zero for "delete"."""

HOSTS = "hosts"
CHECKS = "checks"
TIDIED = "tidied"
DRAINING = "draining"
MARK = "forced"

MOST_MESSAGES, MOST_CHARACTERS = 3, 100
"""How many messages of a record a cache gets that does not take all of it, and how much of each."""

HOST_KEY_SECONDS = 2 * DAY
"""After how many seconds without a write what is kept of a host expires."""

SITE_KEY_SECONDS = DAYS * DAY
"""After how many seconds without a write what is kept of the former days of a site expires."""

HOSTS_SECONDS = 1.0
"""For how long it is known which hosts there are."""

TIDY_SECONDS = 60
"""For how long a process may add the hosts' days up to the site's, before another one does so."""

TIDIED_AT_ONCE = 20
"""How many checks are added up in one round trip."""

MOST_CHECKS = 1000
"""How many checks are added up: their labels may come from requests."""

LATE_SECONDS = 300.0
"""How long after its end a day is added up: runs may be published late."""

HOST_SECONDS = 600.0
"""For how long a host that publishes nothing is still shown."""

NOTE_HOST_SECONDS = 60.0
"""How often a process notes that its host is there."""


class DjangoCacheStore(Store):
    """Share records and leases through a Django cache.

    A lease is a key that only one process can add. It is named after the number of the record that it was taken on, so
    that it need not be given back: who publishes makes another number. A refresh takes four round trips.

    What is counted is read again just before it is written: two releases that publish a check within that round trip
    may lose a run from the counters.

    Args:
        alias: The cache, a key of ``CACHES``.
        site: The name of the site; default as ``HEALTH_CHECK["SITE"]`` says.
        host: The name of this host in the records; default the host name.
        clock: Returns the time.

    Raises:
        TypeError: If an option is of no use.
    """

    mark_seconds = 2.0

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
        if site is not None:
            self.site = digest(site)
        self._cache: BaseCache | None = caches.create_connection(
            alias
        )  # one of our own: Django closes those of requests
        self._memo = serializer.Memo()
        self._numbers: dict[Key, int] = {}
        self._published: set[Key] = set()
        self._hosts: dict[str, float] = {}
        self._hosts_read_at = self._host_noted_at = -math.inf
        self._is_proven = False
        getattr(self._cache, "_cache", None)  # imports the client, which may take as long as an answer may

    @property
    def reaches_others(self) -> bool:
        """Whether other processes can see this cache."""
        return not str(caches.settings[self._alias].get("BACKEND", "")).endswith(UNSHARED)

    def describe(self) -> str:
        return f"the cache {self._alias!r}, as host {self._host}"

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        return self._do(lambda cache: self._elsewhere(cache, [key for key in keys if key.scope == "host"]))

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        """Return the past of checks, in one round trip if no host is new."""
        former = {key: self._days_key(key) for key in keys}
        today = int(self._clock.now() // DAY)
        days = (today - 1, today, today + 1)  # the last one where a clock was set back
        names = self._day_names(keys, days)
        asked = [self._named(HOSTS), *former.values(), *names]
        found: dict[str, Any] = self._do(lambda cache: cache.get_many(asked))
        self._note_hosts(found.get(self._named(HOSTS)))
        self._hosts_read_at = self._clock.monotonic()
        known, names = names, self._day_names(keys, days)
        if new := [name for name in names if name not in known]:
            found |= self._do(lambda cache: cache.get_many(new))
        documents: dict[Key, dict[str, list[Document]]] = {key: {} for key in keys}
        for name, (key, place) in names.items():
            if name in found:
                documents[key].setdefault(place, []).append(Document.load(found[name], HALF_HOUR))
        pasts = {key: self._past_of(key, Document.load(found.get(former[key]), DAY), documents[key]) for key in keys}
        return {key: past for key, past in pasts.items() if past.days}

    def _day_names(self, keys: Sequence[Key], days: Sequence[int]) -> dict[str, tuple[Key, str]]:
        """Return the names of documents of some days, with the check and the host that each is of."""
        return {
            self._day_key(key, day, place): (key, place) for key in keys for place in self._places(key) for day in days
        }

    def _past_of(self, key: Key, former: Document, documents: Mapping[str, Sequence[Document]]) -> Past:
        half_hours = {
            place: [period for document in some for period in document.periods.values()]
            for place, some in documents.items()
        }
        changes: dict[str, dict[Change, None]] = {}
        for change in [
            *former.changes,
            *(c for some in documents.values() for document in some for c in document.changes),
        ]:
            changes.setdefault(change.host, {})[change] = None
        return Past(
            half_hours=half_hours,
            days=cache_past.days_of(former, (p for some in half_hours.values() for p in some)),
            changes={place: list(some) for place, some in changes.items()},
            here=self._host_of(key),
        )

    def past_failures(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[Failure]]:
        names = {self._failures_key(key, place): key for key in keys for place in self._places(key)}
        found: dict[str, Any] = self._do(lambda cache: cache.get_many(list(names)))
        failures: dict[Key, list[Failure]] = {}
        for name, text in found.items():
            failures.setdefault(names[name], []).extend(serializer.load_failures(text))
        return failures

    def _add(self, key: Key, additions: Sequence[Addition]) -> None:
        yesterday = int(self._clock.now() // DAY) - 1
        days = self._days_key(key)
        failures = self._failures_key(key)
        names = {
            addition.period.start: self._day_key(key, addition.period.start // DAY)
            if addition.period.start // DAY >= yesterday
            else days
            for addition in additions
        }
        found: dict[str, Any] = self._do(lambda cache: cache.get_many([days, failures, *names.values()]))
        documents = {
            name: Document.load(found.get(name), DAY if name == days else HALF_HOUR) for name in names.values()
        }
        for addition in additions:
            documents[names[addition.period.start]].add([addition.period], addition.changes)
        if days in documents:
            self._set({days: documents.pop(days).dump()}, SITE_KEY_SECONDS)
        texts = {name: document.dump() for name, document in documents.items()}
        older = [failure for addition in additions for failure in addition.failures]
        texts[failures] = serializer.last_failures(found.get(failures), older, are_older=True)
        self._set(texts, self._seconds(key))
        self._published.add(key)
        self._host_noted_at = -math.inf

    def _host_of(self, key: Key) -> str:
        return "" if key.scope == "fleet" else self._host

    def _places(self, key: Key) -> Iterable[str]:
        """Return the hosts that have had records of their own of a check, as far as they are known."""
        return ("",) if key.scope == "fleet" else {self._host: 0.0, **self._hosts}

    def _note_hosts(self, text: object) -> None:
        since = self._clock.now() - HOST_KEY_SECONDS
        self._hosts = {host: seen for host, seen in _numbers(text).items() if seen > since}

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
        name, value = self._of_host("probe"), secrets.token_hex(8)
        self._do(lambda cache: cache.set(name, value, LEAST_SECONDS))
        if self._do(lambda cache: cache.get(name)) != value:
            raise StoreError(f"the cache {self._alias!r} does not keep what is written")
        self.probe()

    def close(self) -> None:
        self._is_proven, self._host_noted_at = False, -math.inf  # the server may have lost what it knew
        cache, self._cache = self._cache, None
        if cache is not None:
            with contextlib.suppress(Exception):  # the client of a server that is gone
                close_cache(cache)

    def _do(self, work: Callable[[BaseCache], T]) -> T:
        try:
            if self._cache is None:
                self._cache = caches.create_connection(self._alias)
            value = work(self._cache)
            self.progressed()
            return value
        except (StoreError, InvalidCacheBackendError):
            raise
        except Exception as error:  # each backend's client raises its own
            self.close()
            raise StoreError(f"the cache {self._alias!r}: {type(error).__name__}: {error}") from error

    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        """Read all that is known of some checks, in one round trip."""
        keys = [query.key for query in queries]
        leases = {key: self._lease_key(key, self._numbers.get(key, 0)) for key in keys}
        records = [name for key in keys for name in (self._record_key(key), self._own_key(key, self.site_release))]
        names = [self._drain_key(), self._named(MARK), *records, *leases.values()]
        found: dict[str, Any] = self._do(lambda cache: cache.get_many(names))
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
                record = dataclasses.replace(record, totals=latest.totals)
        seq = self._numbers[key] = record.seq if record is not None else 0
        held = found.get(lease_key) if lease_key == self._lease_key(key, seq) else None
        since = None if held is None else _since(held, self._clock.now())
        return Stored(record=record, latest=latest, seq=seq, held_since=since)

    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        return [self._took(lease, now) for lease in leases]

    def _took(self, lease: Lease, now: float) -> bool:
        """Take a lease; where it is neither to be had nor anybody's, a client hides that its server is gone."""
        name, value = self._lease_key(lease.key, lease.seq), f"{lease.token} {now}"
        seconds = max(LEAST_SECONDS, math.ceil(lease.ends - self._clock.monotonic()))
        if self._do(lambda cache: cache.add(name, value, seconds)):
            return True
        if self._do(lambda cache: cache.get(name)) is not None:
            return False
        if not self._do(lambda cache: cache.add(name, value, seconds)):  # it had not just ended
            raise StoreError(f"the cache {self._alias!r} neither gives nor has a lease")
        return True

    def _write(self, publications: Sequence[Publication]) -> list[Record | None]:
        """Write records; that their leases are in force is known without asking: they have not ended."""
        keys = {self._record_key(each.lease.key): each.lease.key for each in publications}
        days = {
            each.lease.key: self._day_key(each.lease.key, int(each.record.result.finished // DAY))
            for each in publications
        }
        bad = {
            each.lease.key: self._failures_key(each.lease.key)
            for each in publications
            if each.record.result.state is not State.OK
        }
        names = [*keys, *days.values(), *bad.values()]
        found: dict[str, Any] = self._do(lambda cache: cache.get_many(names))
        records: dict[str, Record] = {}
        documents: dict[int, dict[str, str]] = {}
        for (name, key), publication in zip(keys.items(), publications, strict=True):
            latest = self._memo.load(name, text := found.get(name))
            if latest is not None and latest.release != self.site_release:
                documents.setdefault(RELEASE_SECONDS, {})[self._own_key(key, latest.release)] = str(text)
            records[name] = self._following(publication, latest)
            addition = self._addition(key, records[name].result, latest)
            written = documents.setdefault(self._seconds(key), {})
            written[name] = self._text_of(name, records[name])
            written[days[key]] = cache_past.added(found.get(days[key]), addition)
            if key in bad:
                written[bad[key]] = serializer.last_failures(found.get(bad[key]), addition.failures)
        for seconds, some in sorted(documents.items()):
            for name in self._refused(some, seconds):
                if name in records:
                    records[name] = self._shorter(name, records[name], seconds)
        self._published.update(days)
        with contextlib.suppress(StoreError):  # what matters is written
            self._do(self._note_host)
        return [records[name] for name in keys]

    def _seconds(self, key: Key) -> int:
        return UNUSED_SECONDS if key.scope == "fleet" else HOST_KEY_SECONDS

    def _text_of(self, name: str, record: Record) -> str:
        text = serializer.dump(record)
        self._memo.note(name, text, record)
        return text

    def _refused(self, documents: dict[str, str], seconds: int) -> list[str]:
        """Write documents at once, or else one by one, and return which ones the cache refuses, as those too large."""
        try:
            failed = self._do(lambda cache: cache.set_many(documents, seconds)) or []  # django-redis returns None
        except StoreError:
            self._do(lambda cache: cache.get(next(iter(documents))))  # or else the server is gone
            failed = list(documents)
        refused = [name for name in failed if not self._keeps(name, documents[name], seconds)]
        name = next((name for name in documents if name not in refused), "")
        if name and not self._is_proven:  # the first time after connecting, as a client may hide that it failed
            if self._do(lambda cache: cache.get(name)) is None:
                raise StoreError(f"the cache {self._alias!r} does not keep what is written")
            self._is_proven = True
        return refused

    def _set(self, documents: dict[str, str], seconds: int) -> None:
        if refused := self._refused(documents, seconds):
            raise StoreError(f"the cache {self._alias!r} does not take {len(refused)} of {len(documents)} documents")

    def _keeps(self, name: str, text: str, seconds: int) -> bool:
        """Write one document, and return whether it is there then."""
        with contextlib.suppress(StoreError):
            self._do(lambda cache: cache.set(name, text, seconds))
            return bool(self._do(lambda cache: cache.get(name)) == text)
        return False

    def _shorter(self, name: str, record: Record, seconds: int) -> Record:
        """Write a record with less to say, as the cache refuses it, and return it.

        Raises:
            StoreError: If it refuses that, too.
        """
        messages = sorted(record.result.messages, key=lambda message: message.kind is Kind.WARNING)[:MOST_MESSAGES]
        short = tuple(dataclasses.replace(each, text=f"{each.text[:MOST_CHARACTERS]} …") for each in messages)
        result = dataclasses.replace(record.result, messages=short, pretty_status=None, exemplar={})
        record = dataclasses.replace(record, result=result, totals=dataclasses.replace(record.totals, exemplars={}))
        if not self._keeps(name, self._text_of(name, record), seconds):
            raise StoreError(f"the cache {self._alias!r} does not take a record of {record.result.backend}")
        return record

    def _raise_mark(self) -> None:
        self._do(lambda cache: cache.set(self._named(MARK), secrets.token_hex(8), HOST_KEY_SECONDS))

    def _drop(self, leases: Sequence[Lease]) -> None:
        self._do(lambda cache: cache.delete_many([self._lease_key(lease.key, lease.seq) for lease in leases]))

    def _elsewhere(self, cache: BaseCache, keys: Sequence[Key]) -> dict[str, dict[Key, Record]]:
        if self._clock.monotonic() >= self._hosts_read_at + HOSTS_SECONDS:
            self._note_hosts(cache.get(self._named(HOSTS)))
        since = self._clock.now() - HOST_SECONDS
        hosts = [host for host, seen in self._hosts.items() if seen > since]
        names = {self._record_key(key, host): (host, key) for host in hosts if host != self._host for key in keys}
        found: dict[str, dict[Key, Record]] = {host: {} for host, _ in names.values()}
        for name, text in cache.get_many(list(names)).items() if names else ():
            host, key = names[name]
            if (record := self._memo.load(name, text)) is not None:
                found[host][key] = record
        return {host: records for host, records in sorted(found.items()) if records}

    def _note_host(self, cache: BaseCache) -> None:
        """Note once a minute that this host is there, and which checks it has; see to former days."""
        if self._clock.monotonic() < self._host_noted_at + NOTE_HOST_SECONDS:
            return
        self._host_noted_at = self._clock.monotonic()
        now = self._clock.now()
        today = int(now // DAY)
        found = cache.get_many([self._named(name) for name in (HOSTS, CHECKS, TIDIED)])
        self._note_hosts(found.get(self._named(HOSTS)))
        self._hosts[self._host] = now
        cache.set(self._named(HOSTS), json.dumps(self._hosts), HOST_KEY_SECONDS)
        if self.draining is not None:
            cache.touch(self._drain_key(), HOST_KEY_SECONDS)
        checks = {name: day for name, day in _numbers(found.get(self._named(CHECKS))).items() if day > today - DAYS}
        own = {f"{key.scope}:{key.label}": float(today) for key in self._published}
        if any(checks.get(name) != day for name, day in own.items()):
            checks = dict([*checks.items(), *own.items()][-MOST_CHECKS:])
            cache.set(self._named(CHECKS), json.dumps(checks), SITE_KEY_SECONDS)
        if found.get(self._named(TIDIED)) != today and now % DAY >= LATE_SECONDS:
            self._tidy(cache, [_key(name) for name in checks], today)

    def _tidy(self, cache: BaseCache, keys: Sequence[Key], today: int) -> None:
        """Add the hosts' runs of yesterday up to the site's, if no other process does so."""
        if not cache.add(self._named(f"{TIDIED}:lease"), self._host, TIDY_SECONDS):
            return
        for first in range(0, len(keys), TIDIED_AT_ONCE):
            part = keys[first : first + TIDIED_AT_ONCE]
            names = {key: self._day_names([key], (today - 2, today - 1)) for key in part}
            found = cache.get_many([*map(self._days_key, part), *(name for some in names.values() for name in some)])
            self.progressed()
            texts = {self._days_key(key): self._added_up(key, names[key], found) for key in part}
            cache.set_many({name: text for name, text in texts.items() if text}, SITE_KEY_SECONDS)
            self.progressed()
        cache.set(self._named(TIDIED), today, SITE_KEY_SECONDS)
        cache.delete(self._named(f"{TIDIED}:lease"))

    def _added_up(self, key: Key, names: Mapping[str, tuple[Key, str]], found: Mapping[str, Any]) -> str:
        """Return the document of the former days of a check with the last days of all hosts; empty without runs."""
        now = self._clock.now()
        silent = {host for host, seen in self._hosts.items() if seen < now - HOST_SECONDS}
        former = Document.load(found.get(self._days_key(key)), DAY)
        documents = [(place, Document.load(found.get(name), HALF_HOUR)) for name, (_, place) in names.items()]
        cache_past.add_up(former, documents, silent, now=now)
        return former.dump() if former.periods or former.changes else ""

    def _named(self, name: str) -> str:
        return f"health-check:{self.site}:{name}"

    def _of_host(self, name: str) -> str:
        return self._named(digest(f"{name}\n{self._host}"))

    def _of(self, key: Key, host: str | None = None) -> str:
        place = "" if key.scope == "fleet" else host or self._host
        return self._named(digest(f"{key.scope}\n{place}\n{self._name(key)}"))

    def _drain_key(self) -> str:
        return self._of_host(DRAINING)

    def _record_key(self, key: Key, host: str | None = None) -> str:
        return f"{self._of(key, host)}:record"

    def _day_key(self, key: Key, day: int, host: str | None = None) -> str:
        return f"{self._of(key, host)}:day:{day}"

    def _days_key(self, key: Key) -> str:
        return self._named(digest(f"days\n{key.scope}\n{self._name(key)}"))

    def _failures_key(self, key: Key, host: str | None = None) -> str:
        return f"{self._of(key, host)}:failures"

    def _own_key(self, key: Key, release: str) -> str:
        return f"{self._of(key)}:of:{digest(release)}"

    def _lease_key(self, key: Key, seq: int) -> str:
        return f"{self._of(key)}:lease:{digest(self.site_release)}:{seq}"


def _since(held: object, now: float) -> float:
    try:
        return float(str(held).split(" ")[1])
    except (IndexError, ValueError):
        return now


def _numbers(text: object) -> dict[str, float]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
        return {str(name): float(number) for name, number in found.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        return {}


def _key(name: str) -> Key:
    scope, _, label = name.partition(":")
    return Key(label=label, scope=scope)
