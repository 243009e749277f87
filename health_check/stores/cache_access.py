"""How a store uses a Django cache: its connection, its names, and whether it keeps what is written."""

from __future__ import annotations

import contextlib
import functools
import math
import pickle
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache

from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_cache
from health_check.past import DAY, DAYS
from health_check.stores import serializer
from health_check.stores.base import UNUSED_SECONDS, Key, Store, StoreError
from health_check.stores.site import digest

T = TypeVar("T")

UNREADABLE = (AttributeError, EOFError, ImportError, LookupError, TypeError, ValueError, pickle.UnpicklingError)
"""What clients raise where a value is damaged, or of a class that this process does not have."""

HOST_KEY_SECONDS = 2 * DAY
"""After how many seconds without a write what is kept of a host expires."""

SITE_KEY_SECONDS = DAYS * DAY
"""After how many seconds without a write what is kept of the former days of a site expires."""

LEAST_SECONDS = 2
"""The shortest time that a key can expire after: Django's backends drop fractions, and take zero for "delete"."""

PROBES = 10
"""How many keys a cache has to keep beside the records of a publication: some drop one for another."""

DRAINING = "draining"


class CacheAccess(Store):
    """Use a Django cache.

    Args:
        alias: The cache, a key of ``CACHES``.
        site: The name of the site; default as ``HEALTH_CHECK["SITE"]`` says.
        host: The name of this host in the records; default the host name.
        clock: Returns the time.

    Raises:
        TypeError: If an option cannot be used.
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
        if site is not None:
            self.site = digest(site)
        # one of our own: Django closes those of requests
        self._cache: BaseCache | None = caches.create_connection(alias)
        self._is_proven = False
        self._memo = serializer.Memo()
        self._numbers: dict[Key, int] = {}
        self._published: set[Key] = set()
        self._hosts: dict[str, float] = {}
        self._host_noted_at = -math.inf
        getattr(self._cache, "_cache", None)  # imports the client, which may take as long as an answer may

    @functools.cached_property
    def most_entries(self) -> int | None:
        """How many entries the cache keeps before it drops some; None where its server sees to that.

        The local memory, files and database caches of Django drop what has not ended, too.
        """
        backend = caches[self._alias]
        most = getattr(backend, "_max_entries", None) if hasattr(backend, "_cull") else None
        return most if isinstance(most, int) else None

    def close(self) -> None:
        self._is_proven = False  # the server may have lost what it knew
        self._host_noted_at = -math.inf
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

    def _seconds(self, key: Key) -> int:
        return UNUSED_SECONDS if key.scope == "fleet" else HOST_KEY_SECONDS

    def _set(self, documents: dict[str, str], seconds: int) -> None:
        """Write documents, in one round trip.

        Raises:
            StoreError: If the cache does not take one.
        """
        if refused := self._do(lambda cache: cache.set_many(documents, seconds)):
            raise StoreError(f"the cache {self._alias!r} does not take {len(refused)} of {len(documents)} documents")

    def _prove(self, names: Sequence[str]) -> None:
        """Read back what was just written, and some more: a client may hide that its server is gone.

        That is after connecting, and where what was written before is not there: a cache may drop one key for another.

        Raises:
            StoreError: If it is not there.
        """
        probes = {self._of_host(f"probe {secrets.token_hex(8)}"): "kept" for _ in range(PROBES)}
        self._do(lambda cache: cache.set_many(probes, LEAST_SECONDS))
        found: dict[str, Any] = self._do(lambda cache: cache.get_many([*names, *probes]))
        self._do(lambda cache: cache.delete_many(list(probes)))  # some caches keep for long what has expired
        if not found.keys() >= {*names} or not found.items() >= probes.items():
            raise StoreError(f"the cache {self._alias!r} does not keep what is written")
        self._is_proven = True

    def _named(self, name: str) -> str:
        return f"health-check:{self.site}:{name}"

    def _of_host(self, name: str, host: str | None = None) -> str:
        return self._named(digest(f"{name}\n{host or self._host}"))

    def _of(self, key: Key, host: str | None = None) -> str:
        place = "" if key.scope == "fleet" else host or self._host
        return self._named(digest(f"{key.scope}\n{place}\n{self._name(key)}"))

    def _drain_key(self, host: str | None = None) -> str:
        return self._of_host(DRAINING, host)

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


def values(cache: BaseCache, names: Sequence[str]) -> dict[str, Any]:
    """Return what a cache has, by name; a value that its client cannot read is none, and is dropped.

    Else one such value would keep all others from being read.
    """
    with contextlib.suppress(*UNREADABLE):
        found: dict[str, Any] = cache.get_many(names)
        return found
    found = {}
    for name in names:
        try:
            value = cache.get(name)
        except UNREADABLE:
            cache.delete(name)
        else:
            if value is not None:
                found[name] = value
    return found
