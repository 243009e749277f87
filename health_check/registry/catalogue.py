"""The catalogue: the endpoints of a URLconf and the checks they are made of."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from health_check.concurrency.clock import Clock
from health_check.conf import settings
from health_check.registry.check_set import CheckSet, build_check_set
from health_check.registry.construction import Item, Start, constructed
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint, discover, numbered
from health_check.registry.identity import equal_values

CONSTRUCTION_SECONDS = 5.0
"""For how long an endpoint waits for the constructors of its checks; after that their runs say what is wrong."""

MOST_CHOICES = 100
"""How many choices of checks, made by views for requests, to keep."""


class _Choice(NamedTuple):
    """The checks that a view has chosen for a request."""

    endpoint: Endpoint
    items: tuple[object, ...]
    made: tuple[Item, ...]
    base: CheckSet
    check_set: CheckSet

    def is_of(self, endpoint: Endpoint, items: tuple[object, ...]) -> bool:
        return self.endpoint.key == endpoint.key and equal_values(self.items, items)


class Catalogue:
    """Know the endpoints of one URLconf and their checks; safe to use from many threads.

    Checks are constructed in the background, and tried again there where that fails. The lock is held for moments: no
    constructor is called under it.

    Args:
        urlconf: The dotted path of the URLconf.
        start: Constructs a check.
        clock: Returns the time, for constructing again what failed.
        seconds: For how long to wait for constructors.
    """

    def __init__(self, urlconf: str, start: Start, clock: Clock, seconds: float | None = None) -> None:
        self._start = start
        self._clock = clock
        self._seconds = CONSTRUCTION_SECONDS if seconds is None else seconds
        self._lock = threading.RLock()
        self._placed: dict[Endpoint, tuple[Item, ...]] = {}
        self._endpoints: dict[tuple[str, type, int], Endpoint] = {}
        self._choices: tuple[_Choice, ...] = ()
        self._open: tuple[Item, ...] = ()
        self._retry_at = math.inf
        self.deferred: tuple[Endpoint, ...] = ()
        """The endpoints that choose their checks in code which needs a request."""
        for endpoint in discover(urlconf):
            self._add(endpoint)
        self._assemble()
        if settings.MAX_CONCURRENCY:
            self._begin(self._claimed(self._items()))

    @property
    def check_set(self) -> CheckSet:
        """The checks of all endpoints, once they are constructed, or have taken too long."""
        return self.complete()

    @property
    def current(self) -> CheckSet:
        """The checks of all endpoints, as far as they are known; waits for no constructor."""
        if self.needs_work and self._lock.acquire(blocking=False):
            try:
                again = self._go_on(self._clock.monotonic() if settings.MAX_CONCURRENCY else -math.inf)
            finally:
                self._lock.release()
            self._begin(again)
        return self._check_set

    @property
    def needs_work(self) -> bool:
        """Whether a check was constructed, or is to be constructed again."""
        if self._clock.monotonic() >= self._retry_at:
            return True
        return bool(self._open) and any(item.future is not None and item.future.done() for item in self._open)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints whose checks are known, in the order of the URLconf."""
        return tuple(self._check_set.members)

    def complete(self, endpoints: Iterable[Endpoint] | None = None) -> CheckSet:
        """Return the check set once the checks of some endpoints, by default all, are constructed or took too long."""
        if not self._open and not self.needs_work:
            return self._check_set
        with self._lock:
            chosen = self._placed if endpoints is None else endpoints
            items = [item for endpoint in chosen for item in self._placed.get(endpoint, ())]
            again = [*self._claimed(items), *self._go_on(self._clock.monotonic())]
        self._begin(again)
        for item in items:
            item.wait()
        with self._lock:
            self._go_on(-math.inf)
            return self._check_set

    def listed(self, wanted: Endpoint) -> tuple[Endpoint, CheckSet] | None:
        """Return the endpoint that a request was routed to, with the check set, if its checks are known already."""
        known, check_set = self._endpoints.get(wanted.key), self.current
        if known is None or known not in check_set.members:
            return None
        is_open = bool(self._open) and any(item.is_awaited for item in self._placed[known])
        return None if is_open else (known, check_set)

    def add(self, wanted: Endpoint) -> tuple[Endpoint, CheckSet]:
        """Return the endpoint that a request was routed to, adding it if the URLconf did not show it."""
        with self._lock:
            if wanted.key not in self._endpoints:
                self._add(self._named(wanted))
                self._assemble()
            endpoint = self._endpoints[wanted.key]
        return endpoint, self.complete([endpoint])

    def knows(self, wanted: Endpoint) -> bool:
        """Return whether the checks of an endpoint are known, so that no request is needed to find them out."""
        return wanted.key in self._endpoints

    def items_of(self, endpoint: Endpoint) -> tuple[object, ...]:
        """Return the items that an endpoint consists of."""
        return tuple(item.item for item in self._placed.get(endpoint, ()))

    def place(self, wanted: Endpoint, items: Sequence[object]) -> tuple[Endpoint, CheckSet]:
        """Make these the checks of an endpoint that chooses them in code, and return it with the new check set."""
        made = self._made_before(wanted, items) or self._constructed(items)
        with self._lock:
            endpoint = self._endpoints.get(wanted.key) or self._named(wanted)
            self._endpoints[wanted.key] = endpoint
            self.deferred = tuple(known for known in self.deferred if known is not endpoint)
            known = self._placed.get(endpoint)
            if known is None or not _alike(_definitions(known), _definitions(made)):
                self._placed[endpoint] = made
                self._assemble()
            return endpoint, self._check_set

    def with_chosen(self, endpoint: Endpoint, items: Sequence[object]) -> CheckSet:
        """Return the check set with the checks that a view has chosen for one request, which are that request's alone.

        Args:
            endpoint: The endpoint, as the request's view is.
            items: Its checks.
        """
        items, base = tuple(items), self.current
        choice = next((each for each in self._choices if each.is_of(endpoint, items)), None)
        if choice is None or choice.base is not base:
            made = self._constructed(items) if choice is None else choice.made
            with self._lock:
                # those still under construction do not know their labels, and would give them to equal checks
                settled = {one: found for one, found in self._placed.items() if not any(i.is_awaited for i in found)}
                placed = {known: _definitions(found) for known, found in settled.items() if known is not endpoint}
            check_set = build_check_set({**placed, endpoint: _definitions(made)})
            choice = _Choice(endpoint, items, made, base, check_set)
            if not any(item.is_instance for item in made):  # instances of one class may seem equal
                others = (each for each in self._choices if not each.is_of(endpoint, items))
                self._choices = (choice, *itertools.islice(others, MOST_CHOICES - 1))
        members = choice.check_set.members
        return dataclasses.replace(choice.check_set, members={**members, endpoint: members[choice.endpoint]})

    def _constructed(self, items: Iterable[object]) -> tuple[Item, ...]:
        return constructed(items, self._start, self._seconds, self._clock.monotonic())

    def _made_before(self, wanted: Endpoint, items: Sequence[object]) -> tuple[Item, ...] | None:
        """Return what the same items turned out to be last time, so that no request constructs checks again."""
        endpoint = self._endpoints.get(wanted.key)
        known = self._placed.get(endpoint) if endpoint is not None else None
        if known is None or any(item.is_instance for item in known):
            return None
        return known if equal_values(tuple(items), tuple(item.item for item in known)) else None

    def _add(self, endpoint: Endpoint) -> None:
        try:
            items = endpoint.items()
        except Exception:  # of the view's own code
            self.deferred = (*self.deferred, endpoint)
            return
        self._placed[endpoint] = tuple(map(Item, items))
        self._endpoints[endpoint.key] = endpoint

    def _named(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as the URLconf shows it, or under a name that no other one has."""
        for known in self.deferred:
            if known.key == endpoint.key:
                return known
        names = {"", *(known.name for known in (*self._endpoints.values(), *self.deferred))}
        return numbered(endpoint, names) if endpoint.name in names else endpoint

    def _items(self) -> list[Item]:
        return [item for items in self._placed.values() for item in items]

    def _claimed(self, items: Iterable[Item], now: float = -math.inf) -> list[Item]:
        return [item for item in items if item.claim(self._seconds, now)]

    def _begin(self, items: Iterable[Item]) -> None:
        """Construct checks; without the lock."""
        for item in items:
            item.start(self._start)

    def _go_on(self, now: float) -> list[Item]:
        """Take over what was constructed; return what is to be constructed again. Called with the lock."""
        changed = [item.adopt(self._clock.monotonic()) for item in self._items()]
        again = self._claimed([item for item in self._items() if item.retry_at <= now], now)
        if any(changed):
            self._assemble()
        else:
            self._note()
        return again

    def _assemble(self) -> None:
        """Merge the checks of all endpoints."""
        self._check_set = build_check_set({endpoint: _definitions(items) for endpoint, items in self._placed.items()})
        self._note()

    def _note(self) -> None:
        """Note what there is to do."""
        items = self._items()
        self._open = tuple(item for item in items if item.is_awaited or item.future is not None)
        self._retry_at = min((item.retry_at for item in items), default=math.inf)


def _definitions(items: Iterable[Item]) -> tuple[Definition, ...]:
    return tuple(item.definition for item in items)


def _alike(left: Sequence[Definition], right: Sequence[Definition]) -> bool:
    return len(left) == len(right) and all(
        a.label == b.label and a.policies == b.policies and a.same_check(b) for a, b in zip(left, right, strict=True)
    )
