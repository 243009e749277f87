"""The catalogue: the endpoints of a URLconf and the checks they are made of."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence

from health_check.backends import HealthCheck
from health_check.clock import Clock
from health_check.definitions import Definition, UnusableEntry, problem_of, unusable
from health_check.endpoints import Endpoint, discover
from health_check.entries import EntryError, from_instance, parse, unusable_entry
from health_check.masking import mask

logger = logging.getLogger("health_check")

RETRY_SECONDS = 10.0
"""How long an entry whose constructor failed stays unusable before it is tried again."""

Constructor = Callable[[Sequence[Callable[[], Definition]]], "Sequence[concurrent.futures.Future[Definition]]"]
"""Runs functions under a deadline; the futures of those that missed it are not done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """What one entry of an endpoint turned out to be."""

    definition: Definition
    """Its check, or what stands for an entry that cannot be used."""
    problem: str = ""
    """What is wrong with the entry; empty if nothing is."""
    retry: concurrent.futures.Future[Definition] | None = None
    """Its failed construction, to be tried again once that has ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A check as a part of an endpoint."""

    label: str
    """The check."""
    critical: bool
    """Whether its failure makes this endpoint fail."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """What a system check says about an endpoint."""

    kind: str
    """``"unusable"``, ``"clash"`` or ``"policies"``."""
    endpoint: str
    """The name of the endpoint."""
    text: str
    """What is wrong, and the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assembly:
    """The checks of all endpoints, each once, and who uses them."""

    definitions: Mapping[str, Definition]
    """The checks, by label."""
    members: Mapping[Endpoint, tuple[Member, ...]]
    """The checks of each endpoint, in its order."""
    problems: tuple[Problem, ...]
    """What is wrong."""

    def checks_of(self, endpoints: Iterable[Endpoint]) -> tuple[Definition, ...]:
        """Return the checks of some endpoints, each once."""
        labels = dict.fromkeys(member.label for endpoint in endpoints for member in self.members[endpoint])
        return tuple(self.definitions[label] for label in labels)


class Catalogue:
    """Know the endpoints of one URLconf and their checks; safe to use from many threads."""

    def __init__(self, urlconf: str, construct: Constructor, clock: Clock) -> None:
        self._construct = construct
        self._clock = clock
        self._lock = threading.RLock()
        self._retry_at = clock.monotonic() + RETRY_SECONDS
        self._placed: dict[Endpoint, tuple[Resolved, ...]] = {}
        self._endpoints: dict[tuple[str, type, int], Endpoint] = {}
        for endpoint in discover(urlconf):
            self._add(endpoint)
        self._assembly = assemble(self._placed)

    @property
    def assembly(self) -> Assembly:
        """The checks of all endpoints, those that could not be constructed tried again from time to time."""
        if self.needs_work and self._lock.acquire(blocking=False):
            try:
                self._try_again()
            finally:
                self._lock.release()
        return self._assembly

    @property
    def needs_work(self) -> bool:
        """Whether the next look at ``assembly`` constructs checks, which may block."""
        return self._clock.monotonic() >= self._retry_at and any(
            entry.retry is not None for entries in self._placed.values() for entry in entries
        )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints whose checks are known, in the order of the URLconf."""
        return tuple(self._assembly.members)

    def endpoint(self, wanted: Endpoint) -> Endpoint:
        """Return the endpoint that a request was routed to, adding it if the URLconf did not show it."""
        key = wanted.key
        known = self._endpoints.get(key)
        if known is None:
            with self._lock:
                if key not in self._endpoints:
                    names = {endpoint.name for endpoint in self._endpoints.values()}
                    self._add(dataclasses.replace(wanted, name=wanted.route) if wanted.name in names else wanted)
                    self._assembly = assemble(self._placed)
                known = self._endpoints[key]
        return known

    def place(self, endpoint: Endpoint, items: Iterable[object]) -> Assembly:
        """Make these the checks of an endpoint that chooses them in code, and return the new assembly."""
        with self._lock:
            resolved = resolve(items, self._construct)
            known = self._placed.get(endpoint)
            if known is None or not _alike(known, resolved):
                self._placed[endpoint] = resolved
                self._assembly = assemble(self._placed)
            return self._assembly

    def with_unlisted(self, endpoint: Endpoint, items: Iterable[object]) -> Assembly:
        """Return the assembly with an endpoint that is in no URLconf, without keeping it."""
        return assemble({**self._placed, endpoint: resolve(items, self._construct)})

    def _add(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.key] = endpoint
        try:
            items = endpoint.items()
        except Exception:
            if not endpoint.has_own_plugins:
                raise
            logger.debug("The checks of %s will be known once it is served", endpoint.name, exc_info=True)
            return
        self._placed[endpoint] = resolve(items, self._construct)

    def _try_again(self) -> None:
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        for endpoint, entries in list(self._placed.items()):
            if any(entry.retry is not None and entry.retry.done() for entry in entries):
                with contextlib.suppress(Exception):  # plugins that need a request are placed when there is one
                    self._placed[endpoint] = resolve(endpoint.items(), self._construct)
        self._assembly = assemble(self._placed)


def resolve(items: Iterable[object], construct: Constructor) -> tuple[Resolved, ...]:
    """Find out what the items of an endpoint are.

    Modules are imported here, one after the other; checks are constructed at the same time, elsewhere.
    """
    steps = [(item, _step(item)) for item in items]
    functions = [step for _, step in steps if not isinstance(step, EntryError)]
    futures = iter(construct(functions))
    return tuple(
        _failed(item, step, None) if isinstance(step, EntryError) else _outcome(item, next(futures))
        for item, step in steps
    )


def assemble(placed: Mapping[Endpoint, Sequence[Resolved]]) -> Assembly:
    """Merge the entries of all endpoints, so that the same check is there once, under a label of its own."""
    groups: list[Definition] = []
    group_of: dict[tuple[Endpoint, int], int] = {}
    for endpoint, entries in placed.items():
        for position, entry in enumerate(entries):
            index = next((i for i, group in enumerate(groups) if group.same_check(entry.definition)), None)
            if index is None:
                index = len(groups)
                groups.append(entry.definition)
            else:
                groups[index] = _merged(groups[index], entry.definition)
            group_of[endpoint, position] = index
    return _labelled(placed, groups, group_of)


def _labelled(
    placed: Mapping[Endpoint, Sequence[Resolved]],
    groups: Sequence[Definition],
    group_of: Mapping[tuple[Endpoint, int], int],
) -> Assembly:
    definitions: dict[str, Definition] = {}
    labels: list[str] = []
    clashes: dict[int, str] = {}
    for index, group in enumerate(groups):
        if group.label in definitions:
            shown = _clashing(group, definitions)
            if group.check_class is not UnusableEntry:
                clashes[index] = problem_of(shown)
            group = shown
        definitions[group.label] = group
        labels.append(group.label)
    members = {
        endpoint: _members(
            (labels[group_of[endpoint, i]], entry.definition.critical or group_of[endpoint, i] in clashes)
            for i, entry in enumerate(entries)
        )
        for endpoint, entries in placed.items()
    }
    problems = [
        problem
        for endpoint, entries in placed.items()
        for i, entry in enumerate(entries)
        for problem in _problems(endpoint, entry, groups[group_of[endpoint, i]], clashes.get(group_of[endpoint, i]))
    ]
    return Assembly(definitions=definitions, members=members, problems=tuple(dict.fromkeys(problems)))


def _members(pairs: Iterable[tuple[str, bool]]) -> tuple[Member, ...]:
    critical: dict[str, bool] = {}
    for label, is_critical in pairs:
        critical[label] = critical.get(label, False) or is_critical
    return tuple(Member(label=label, critical=is_critical) for label, is_critical in critical.items())


def _merged(group: Definition, other: Definition) -> Definition:
    named = any(policy.name for policy in group.policies)
    return dataclasses.replace(
        group,
        label=group.label if named or not other.policies[0].name else other.label,
        policies=tuple(dict.fromkeys((*group.policies, *other.policies))),
        critical=group.critical or other.critical,
    )


def _clashing(group: Definition, taken: Mapping[str, Definition]) -> Definition:
    """Return what is shown in place of a check whose label is taken: always in error, under a label of its own."""
    problem = problem_of(group) or (
        f"The entry {group.backend!r} has the label {group.label!r}, as another check has: "
        "give one of the two the option `name`, or a __repr__ that tells them apart."
    )
    backend = "" if problem_of(group) else f"{group.backend} "
    numbers = itertools.count(2)
    label = next(text for n in numbers if (text := f"{group.label} ({backend}{n})") not in taken)
    return unusable(label, problem)


def _problems(endpoint: Endpoint, entry: Resolved, group: Definition, clash: str | None) -> Iterable[Problem]:
    if entry.problem:
        yield Problem(kind="unusable", endpoint=endpoint.name, text=entry.problem)
    if clash:
        yield Problem(kind="clash", endpoint=endpoint.name, text=clash)
    timeouts = {policy.timeout for policy in group.policies}
    ages = {policy.max_age for policy in group.policies}
    names = {policy.name for policy in group.policies if policy.name}
    if len(timeouts) > 1 or len(ages) > 1 or len(names) > 1:
        text = f"The check {group.label!r} is used with different timeouts, max_ages or names: the strictest holds."
        yield Problem(kind="policies", endpoint=endpoint.name, text=text)


def _step(item: object) -> Callable[[], Definition] | EntryError:
    if isinstance(item, HealthCheck):
        return functools.partial(from_instance, None, item)
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[1], HealthCheck):
        return functools.partial(from_instance, str(item[0]), item[1])
    try:
        return parse(item).define
    except EntryError as error:
        return error


def _outcome(item: object, future: concurrent.futures.Future[Definition]) -> Resolved:
    if not future.done():
        return _failed(item, TimeoutError("not constructed in time"), future)
    error = future.exception()
    if error is not None:
        return _failed(item, error, future)
    definition = future.result()
    return Resolved(definition=definition, problem=problem_of(definition))


def _failed(item: object, error: BaseException, future: concurrent.futures.Future[Definition] | None) -> Resolved:
    definition = unusable_entry(item, error)
    cause = error.__cause__ if isinstance(error, EntryError) else error
    details = mask("".join(traceback.format_exception(cause))) if cause else ""
    problem = problem_of(definition)
    logger.error("%s%s", problem, f"\n{details}" if details else "")
    return Resolved(definition=definition, problem=problem, retry=None if isinstance(error, EntryError) else future)


def _alike(left: Sequence[Resolved], right: Sequence[Resolved]) -> bool:
    return len(left) == len(right) and all(
        a.definition.label == b.definition.label
        and a.definition.policies == b.definition.policies
        and a.definition.same_check(b.definition)
        for a, b in zip(left, right, strict=True)
    )
