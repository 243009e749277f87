"""The catalogue: the endpoints of a URLconf and the checks they are made of."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Sequence

from health_check.backends import HealthCheck
from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future, settle
from health_check.logs import log_once
from health_check.registry.check_set import CheckSet, Resolved, build_check_set
from health_check.registry.definitions import Definition, problem_of
from health_check.registry.endpoints import Endpoint, discover, numbered
from health_check.registry.entries import CheckEntry, from_instance, parse, unusable_entry
from health_check.registry.identity import equal
from health_check.registry.policies import EntryError

RETRY_SECONDS = 10.0
"""How long an entry whose constructor failed stays unusable before it is tried again."""

Constructor = Callable[[Sequence[Callable[[], Definition]]], Sequence[Future[Definition]]]
"""Runs functions under a deadline; the futures of those that missed it are not settled."""


class Catalogue:
    """Know the endpoints of one URLconf and their checks; safe to use from many threads."""

    def __init__(self, urlconf: str, construct: Constructor, clock: Clock) -> None:
        self._construct = construct
        self._clock = clock
        self._lock = threading.RLock()
        self._retry_at = math.inf
        self._placed: dict[Endpoint, tuple[Resolved, ...]] = {}
        self._endpoints: dict[tuple[str, type, int], Endpoint] = {}
        self.deferred: tuple[Endpoint, ...] = ()
        """The endpoints whose own ``get_plugins`` needs a request."""
        self._add_all(discover(urlconf))
        self._reassemble()

    @property
    def check_set(self) -> CheckSet:
        """The checks of all endpoints, those that could not be constructed tried again from time to time."""
        if self.needs_work and self._lock.acquire(blocking=False):
            try:
                self._try_again()
            finally:
                self._lock.release()
        return self._check_set

    @property
    def needs_work(self) -> bool:
        """Whether the next look at ``check_set`` constructs checks, which may block."""
        return self._clock.monotonic() >= self._retry_at

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints whose checks are known, in the order of the URLconf."""
        return tuple(self._check_set.members)

    def listed(self, wanted: Endpoint) -> tuple[Endpoint, CheckSet] | None:
        """Return the endpoint that a request was routed to, with the check set, if it is known; never blocks long."""
        known, check_set = self._endpoints.get(wanted.key), self.check_set
        return (known, check_set) if known is not None and known in check_set.members else None

    def add(self, wanted: Endpoint) -> tuple[Endpoint, CheckSet]:
        """Return the endpoint that a request was routed to, adding it if the URLconf did not show it."""
        with self._lock:
            if wanted.key not in self._endpoints:
                self._add_all([self._named(wanted)])
                self._reassemble()
            return self._endpoints[wanted.key], self._check_set

    def place(self, wanted: Endpoint, items: Sequence[object]) -> tuple[Endpoint, CheckSet]:
        """Make these the checks of an endpoint that chooses them in code, and return it with the new check set."""
        resolved = self._resolved_before(wanted, items) or resolve(items, self._construct)
        with self._lock:
            endpoint = self._endpoints.get(wanted.key) or self._named(wanted)
            self._endpoints[wanted.key] = endpoint
            self.deferred = tuple(known for known in self.deferred if known is not endpoint)
            known = self._placed.get(endpoint)
            if known is None or not _alike(known, resolved):
                self._placed[endpoint] = resolved
                self._reassemble()
            return endpoint, self._check_set

    def with_unlisted(self, endpoint: Endpoint, items: Sequence[object]) -> CheckSet:
        """Return the check set with an endpoint that is in no URLconf, without keeping it."""
        return build_check_set({**self._placed, endpoint: resolve(items, self._construct)})

    def _resolved_before(self, wanted: Endpoint, items: Sequence[object]) -> tuple[Resolved, ...] | None:
        """Return what the same items turned out to be last time, so that no request constructs checks again."""
        endpoint = self._endpoints.get(wanted.key)
        known = self._placed.get(endpoint) if endpoint is not None else None
        if known is None or not equal(_numbered(items), _numbered(entry.item for entry in known)):
            return None
        return None if any(_given(item) is not None for item in items) else known

    def _add_all(self, endpoints: Iterable[Endpoint]) -> None:
        """Add endpoints; all their checks are constructed at the same time, so that one that hangs delays them once."""
        listed = [(endpoint, items) for endpoint in endpoints if (items := self._items_of(endpoint)) is not None]
        resolved = iter(resolve([item for _, items in listed for item in items], self._construct))
        for endpoint, items in listed:
            self._placed[endpoint] = tuple(itertools.islice(resolved, len(items)))
            self._endpoints[endpoint.key] = endpoint

    def _named(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as the URLconf shows it, or under a name that no other one has."""
        for known in self.deferred:
            if known.key == endpoint.key:
                return known
        names = {"", *(known.name for known in (*self._endpoints.values(), *self.deferred))}
        return numbered(endpoint, names) if endpoint.name in names else endpoint

    def _items_of(self, endpoint: Endpoint) -> tuple[object, ...] | None:
        try:
            return tuple(endpoint.items())
        except Exception:
            if not endpoint.has_own_plugins:
                raise
            self.deferred = (*self.deferred, endpoint)
            return None

    def _try_again(self) -> None:
        self._retry_at = math.inf
        for endpoint, entries in list(self._placed.items()):
            due = [entry.retry is not None and entry.retry.done() for entry in entries]
            if any(due):
                again = iter(resolve(itertools.compress((entry.item for entry in entries), due), self._construct))
                self._placed[endpoint] = tuple(
                    next(again) if is_due else entry for entry, is_due in zip(entries, due, strict=True)
                )
        self._reassemble()

    def _reassemble(self) -> None:
        """Merge anew what was placed, and note when to try again what failed."""
        self._check_set = build_check_set(self._placed)
        failed = any(entry.retry is not None for entries in self._placed.values() for entry in entries)
        self._retry_at = min(self._retry_at, self._clock.monotonic() + RETRY_SECONDS) if failed else math.inf


def resolve(items: Iterable[object], construct: Constructor) -> tuple[Resolved, ...]:
    """Find out what the items of an endpoint are.

    Modules are imported here, one after the other; checks are constructed at the same time, elsewhere.
    """
    steps = [(item, _step(item)) for item in items]
    futures = iter(construct([step.define for _, step in steps if isinstance(step, CheckEntry)]))
    return tuple(_resolved(item, next(futures) if isinstance(step, CheckEntry) else step) for item, step in steps)


def _step(item: object) -> CheckEntry | Future[Definition]:
    """Return the entry that an item is, to be constructed, or what it turned out to be at once."""
    try:
        return _given(item) or parse(item)
    except Exception as error:
        failed: Future[Definition] = Future()
        failed.set_exception(error)
        return failed


def _given(item: object) -> Future[Definition] | None:
    """Return the definition of an item of ``get_plugins``: an instance, or a pair of its name and it."""
    key, check = item if isinstance(item, tuple | list) and len(item) == 2 else (None, item)
    if not isinstance(check, HealthCheck):
        return None
    found: Future[Definition] = Future()
    settle(found, lambda: from_instance(None if key is None else str(key), check))
    return found


def _resolved(item: object, future: Future[Definition]) -> Resolved:
    if not future.done():
        return _failed(item, TimeoutError("not constructed in time"), future)
    error = future.exception()
    if error is not None:
        return _failed(item, error, future)
    definition = future.result()
    return Resolved(item=item, definition=definition, problem=problem_of(definition))


def _failed(item: object, error: BaseException, future: Future[Definition]) -> Resolved:
    definition = unusable_entry(item, error)
    problem = problem_of(definition)
    unexpected = error.__cause__ if isinstance(error, EntryError) else error
    log_once(problem, problem, None if isinstance(unexpected, ImportError) else unexpected, beside=True)
    return Resolved(
        item=item, definition=definition, problem=problem, retry=None if isinstance(error, EntryError) else future
    )


def _numbered(items: Iterable[object]) -> dict[str, object]:
    return {str(number): item for number, item in enumerate(items)}


def _alike(left: Sequence[Resolved], right: Sequence[Resolved]) -> bool:
    return len(left) == len(right) and all(
        a.definition.label == b.definition.label
        and a.definition.policies == b.definition.policies
        and a.definition.same_check(b.definition)
        for a, b in zip(left, right, strict=True)
    )
