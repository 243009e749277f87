"""The check set: the checks of all endpoints, each once, under a label of its own. Pure."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from health_check.registry.definitions import Definition, UnusableEntry, problem_of, unusable
from health_check.registry.endpoints import Endpoint
from health_check.registry.labels import labels_of


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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CheckSet:
    """The checks of all endpoints, each once, and who uses them."""

    definitions: Mapping[str, Definition]
    """The checks, by label."""
    members: Mapping[Endpoint, tuple[Member, ...]]
    """The checks of each endpoint, in its order."""
    problems: tuple[Problem, ...]
    """What is wrong."""
    namesakes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """The labels of different checks that would have the same one, by that."""

    def find(self, label: str) -> Definition | None:
        """Return the check of a label; an alias will do where no check has it as its label."""
        found = self.definitions.get(label)
        if found is None:
            found = next((each for each in self.definitions.values() if label in each.aliases), None)
        return found

    def checks_of(self, endpoints: Iterable[Endpoint]) -> tuple[Definition, ...]:
        """Return the checks of some endpoints, each once."""
        found: dict[str, Definition] = {}
        for endpoint in endpoints:
            for member in self.members[endpoint]:
                found[member.label] = self.definitions[member.label]
        return tuple(found.values())


def build_check_set(placed: Mapping[Endpoint, Sequence[Definition]]) -> CheckSet:
    """Merge the entries of all endpoints, so that the same check is there once, under a label of its own."""
    groups: list[Definition] = []
    keyed: dict[object, int] = {}
    others: list[int] = []
    places: dict[Endpoint, list[int]] = {}
    for endpoint, definitions in placed.items():
        places[endpoint] = []
        for definition in definitions:
            key = definition.key
            index = keyed.get(key)
            if index is None:  # a thousand checks are not compared with each other, where that can be helped
                candidates = range(len(groups)) if key is None else others
                index = next((i for i in candidates if groups[i].same_check(definition)), None)
            if index is None:
                index = len(groups)
                groups.append(definition)
                if key is None:
                    others.append(index)
                else:
                    keyed[key] = index
            else:
                groups[index] = _merged(groups[index], definition)
            places[endpoint].append(index)
    return _labelled(placed, groups, places)


def _labelled(
    placed: Mapping[Endpoint, Sequence[Definition]],
    groups: Sequence[Definition],
    places: Mapping[Endpoint, Sequence[int]],
) -> CheckSet:
    definitions: dict[str, Definition] = {}
    labels: list[str] = []
    clashes: dict[int, str] = {}
    namesakes: dict[str, list[str]] = {}
    for index, (group, label) in enumerate(zip(groups, labels_of(groups), strict=True)):
        shown = group
        if label is None:
            shown = _clashing(group, definitions)
            clashes[index] = problem_of(shown)
        elif label != group.label:
            shown = dataclasses.replace(group, label=label)
        if group.check_class is not UnusableEntry:
            namesakes.setdefault(group.label, []).append(shown.label)
        definitions[shown.label] = shown
        labels.append(shown.label)
    members: dict[Endpoint, tuple[Member, ...]] = {}
    problems: list[Problem] = []
    for endpoint, found in placed.items():
        critical: dict[str, bool] = {}
        for definition, index in zip(found, places[endpoint], strict=True):
            label = labels[index]
            critical[label] = critical.get(label, False) or definition.critical or index in clashes
            problems += _problems(endpoint, definition, groups[index], clashes.get(index))
        members[endpoint] = tuple(Member(label=label, critical=is_critical) for label, is_critical in critical.items())
    return CheckSet(
        definitions=definitions,
        members=members,
        problems=tuple(dict.fromkeys(problems)),
        namesakes={label: tuple(found) for label, found in namesakes.items() if len(found) > 1},
    )


def _merged(group: Definition, other: Definition) -> Definition:
    if problem_of(group) and not problem_of(other):  # one of two equal entries is constructed
        group = dataclasses.replace(group, prototype=other.prototype)
    return dataclasses.replace(
        group,
        label=other.label if other.is_named and not group.is_named else group.label,
        is_named=group.is_named or other.is_named,
        policies=tuple(dict.fromkeys((*group.policies, *other.policies))),
    )


def _clashing(group: Definition, taken: Mapping[str, Definition]) -> Definition:
    """Return what is shown instead of a check that differs from another in credentials alone: always in error."""
    problem = problem_of(group) or (
        f"The entry {group.backend!r} has the label {group.label!r}, as other checks have that differ from it by their "
        "credentials alone: give each the option `name`."
    )
    numbers = itertools.count(2)
    label = next(text for n in numbers if (text := f"{group.label} ({group.backend} {n})") not in taken)
    return unusable(label, problem)


def _problems(endpoint: Endpoint, entry: Definition, group: Definition, clash: str | None) -> Iterable[Problem]:
    if problem := problem_of(entry):
        yield Problem(kind="unusable", endpoint=endpoint.name, text=problem)
    if clash:
        yield Problem(kind="clash", endpoint=endpoint.name, text=clash)
    values: dict[str, set[object]] = {
        "timeout": {policy.timeout for policy in group.policies},
        "max_age": {policy.max_age for policy in group.policies},
        "name": {policy.name for policy in group.policies if policy.name},
    }
    differing = [f"{name} {' and '.join(sorted(map(str, found)))}" for name, found in values.items() if len(found) > 1]
    if differing:
        text = (
            f"The check {group.label!r} is used with different options ({', '.join(differing)}; None is the default): "
            "the strictest timeout and max_age and the first name hold everywhere."
        )
        yield Problem(kind="policies", endpoint=endpoint.name, text=text)
