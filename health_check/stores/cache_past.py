"""The past of checks as documents of a cache: one for each host, check and day, one of former days for each check."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from django.core.cache.backends.base import BaseCache

from health_check.past import DAY, DAYS, HALF_HOUR, Addition, Change, Failure, Past, Period, compacted, sums
from health_check.records import State
from health_check.stores import serializer
from health_check.stores.base import Key
from health_check.stores.cache_access import HOST_KEY_SECONDS, SITE_KEY_SECONDS, CacheAccess, values

MOST_CHANGES = 300
"""How many changes to keep of a check and host in a day, and of a check in all former days: the newest."""

HOSTS = "hosts"
CHECKS = "checks"
TIDIED = "tidied"

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


@dataclasses.dataclass(kw_only=True)
class Document:
    """Periods of one length of a check, and its changes in that time."""

    length: int
    """How many seconds each period has."""
    periods: dict[int, Period] = dataclasses.field(default_factory=dict)
    """The periods with runs, by start."""
    changes: list[Change] = dataclasses.field(default_factory=list)
    """The changes, oldest first."""

    @classmethod
    def load(cls, text: object, length: int) -> Document:
        """Return the document that a text is; an empty one if it is none."""
        found = cls(length=length)
        try:
            periods, changes = json.loads(text) if isinstance(text, str) else ((), "")
            found.periods = {
                period.start: period for period in (serializer.to_period(each, length) for each in periods)
            }
            found.changes = serializer.load_changes(changes)
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
            return cls(length=length)
        return found

    def dump(self) -> str:
        """Return the document as text."""
        periods = [serializer.of_period(period) for period in self.periods.values()]
        return serializer.text_of([periods, serializer.dump_lines(self.changes)])

    def add(self, periods: Iterable[Period], changes: Sequence[Change]) -> None:
        """Add runs, and drop changes that say nothing new."""
        for period in periods:
            start = period.start // self.length * self.length
            known = self.periods.get(start, Period(start, self.length))
            self.periods[start] = known.plus(period)
        if changes:
            self.changes = compacted([*self.changes, *changes])[-MOST_CHANGES:]


def added(text: Any, addition: Addition) -> str:
    """Return the document of a day with more runs."""
    if not addition.changes:  # as nearly always: then all but the last half hour stays as it is
        with contextlib.suppress(IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
            periods, changes = json.loads(text)
            period = serializer.to_period(periods[-1], HALF_HOUR)
            if period.start == addition.period.start:
                periods[-1] = serializer.of_period(period.plus(addition.period))
                return serializer.text_of([periods, changes])
    document = Document.load(text, HALF_HOUR)
    document.add([addition.period], addition.changes)
    return document.dump()


def days_of(former: Document, half_hours: Iterable[Period]) -> list[Period]:
    """Return the days with runs: those of a document of former days, or the sums of half hours, whichever is more."""
    found = {day.start: day for day in sums(half_hours, DAY)}
    for start, day in former.periods.items():
        if start not in found or day.runs > found[start].runs:
            found[start] = day
    return list(found.values())


def add_up(former: Document, documents: Sequence[tuple[str, Document]], silent: Container[str], *, now: float) -> None:
    """Add the last days of hosts up to the former days of a site; to do so again changes nothing.

    Args:
        former: The former days.
        documents: The documents of hosts, oldest first, with their names.
        silent: Hosts that are gone: an incident that they were in has ended.
        now: Unix time in seconds.
    """
    oldest = now // DAY * DAY - DAYS * DAY
    half_hours = [period for _, document in documents for period in document.periods.values()]
    days = days_of(former, half_hours)
    former.periods = {day.start: day for day in sorted(days) if day.start >= oldest}
    found = dict.fromkeys([*former.changes, *(change for _, document in documents for change in document.changes)])
    last = {change.host: change for change in found}
    for host, document in documents:
        if host in silent and last.get(host) and last[host].state != State.OK and document.periods:
            end = max(period.start + period.length for period in document.periods.values())
            last[host] = Change(max(end, last[host].time), State.OK.value, host)
            found[last[host]] = None
    former.changes = compacted(change for change in found if change.time >= oldest)[-MOST_CHANGES:]


class CachePast(CacheAccess):
    """Keep the past in a cache, and note which hosts there are."""

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        """Return the past of checks, in one round trip if no host is new."""
        former = {key: self._days_key(key) for key in keys}
        today = int(self._clock.now() // DAY)
        days = (today - 1, today, today + 1)  # the last one where a clock was set back
        names = self._day_names(keys, days)
        asked = [self._named(HOSTS), *former.values(), *names]
        found: dict[str, Any] = self._do(lambda cache: values(cache, asked))
        self._note_hosts(found.get(self._named(HOSTS)))
        known, names = names, self._day_names(keys, days)
        if new := [name for name in names if name not in known]:
            found |= self._do(lambda cache: values(cache, new))
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
            days=days_of(former, (p for some in half_hours.values() for p in some)),
            changes={place: list(some) for place, some in changes.items()},
            here=self._host_of(key),
        )

    def past_failures(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[Failure]]:
        names = {self._failures_key(key, place): key for key in keys for place in self._places(key)}
        found: dict[str, Any] = self._do(lambda cache: values(cache, list(names)))
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
        found: dict[str, Any] = self._do(lambda cache: values(cache, [days, failures, *names.values()]))
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
        now = self._clock.now()
        self._hosts = {
            host: seen for host, seen in _numbers(text).items() if now - HOST_KEY_SECONDS < seen < now + HOST_SECONDS
        }

    def _note_host(self, cache: BaseCache) -> None:
        """Note once a minute that this host is there, and which checks it has; see to former days."""
        if self._clock.monotonic() < self._host_noted_at + NOTE_HOST_SECONDS:
            return
        self._host_noted_at = self._clock.monotonic()
        now = self._clock.now()
        today = int(now // DAY)
        tidied = self._named(f"{TIDIED}:{today}")
        found = values(cache, [self._named(HOSTS), self._named(CHECKS), tidied])
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
        if tidied not in found and now % DAY >= LATE_SECONDS and cache.add(tidied, self._host, HOST_KEY_SECONDS):
            self._tidy(cache, [_key(name) for name in checks], today)

    def _tidy(self, cache: BaseCache, keys: Sequence[Key], today: int) -> None:
        """Add the hosts' runs of yesterday up to the site's, and of the day before, where that was broken off."""
        for first in range(0, len(keys), TIDIED_AT_ONCE):
            part = keys[first : first + TIDIED_AT_ONCE]
            names = {key: self._day_names([key], (today - 2, today - 1)) for key in part}
            found = values(cache, [*map(self._days_key, part), *(name for some in names.values() for name in some)])
            self.progressed()
            texts = {self._days_key(key): self._added_up(key, names[key], found) for key in part}
            cache.set_many({name: text for name, text in texts.items() if text}, SITE_KEY_SECONDS)
            self.progressed()

    def _added_up(self, key: Key, names: Mapping[str, tuple[Key, str]], found: Mapping[str, Any]) -> str:
        """Return the document of the former days of a check with the last days of all hosts; empty without runs."""
        now = self._clock.now()
        silent = {host for host, seen in self._hosts.items() if seen < now - HOST_SECONDS}
        former = Document.load(found.get(self._days_key(key)), DAY)
        documents = [(place, Document.load(found.get(name), HALF_HOUR)) for name, (_, place) in names.items()]
        add_up(former, documents, silent, now=now)
        return former.dump() if former.periods or former.changes else ""


def _numbers(text: object) -> dict[str, float]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
        return {str(name): float(number) for name, number in found.items()}
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
        return {}


def _key(name: str) -> Key:
    scope, _, label = name.partition(":")
    return Key(label=label, scope=scope)
