"""The labels of different checks that would have the same one."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import random
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from health_check.backends import ConciseRepr
from health_check.registry.check_set import build_check_set
from health_check.registry.definitions import Definition
from tests.support.checks import Alias, Fine, Telling
from tests.support.placing import endpoint, entries
from tests.support.repetitions import LONG, long
from tests.support.servers import ROOT, clean_environment
from tests.support.wheel import run


@dataclasses.dataclass(repr=False)
class Service(ConciseRepr, Fine):
    """Shows none of its options, as checks of services do."""

    url: str = dataclasses.field(default="", repr=False)
    limit: float = dataclasses.field(default=90.0, repr=False)
    every: Any = dataclasses.field(default=None, repr=False)
    alias: str = "default"


class Fine2(Fine):
    """Is called like another class."""


Fine2.__name__ = "Fine"

DECLARATIONS: list[object] = [
    Fine,
    Fine2,
    Service,
    (Service, {"limit": 80}),
    (Service, {"limit": 70, "every": datetime.timedelta(seconds=2)}),
    (Service, {"url": "https://a.example/"}),
    (Service, {"url": "https://b.example/"}),
    (Service, {"url": "https://b.example/", "limit": 80}),
    (Service, {"alias": "x"}),
    (Service, {"alias": "x", "limit": 80}),
    (Service, {"every": "10.0.0.7"}),
    (Service, {"every": lambda: "https://c.example/"}),
    (Service, {"every": lambda: "https://d.example/"}),
    (Service, {"limit": 50, "name": "orders"}),
    (Service, {"name": "orders", "limit": 60}),
    (Service, {"every": {"b", "a"}}),
    (Telling, {"message": "a word"}),
    (Telling, {"message": "another word"}),
    (Telling, {"message": "redis://me:hunter2@cache.internal/0"}),
    (Alias, {"alias": "y"}),
]
"""Twenty different checks; seven of them would have the label ``Service`` without options or hosts in it, and more."""


@functools.cache
def definitions() -> tuple[Definition, ...]:
    """Return what the declarations turn out to be."""
    return entries(*DECLARATIONS)


def labels(numbers: Iterable[int] = range(len(DECLARATIONS))) -> dict[int, str]:
    """Return the label of each of some declarations, by its place in the list above."""
    declared = list(numbers)
    check_set = build_check_set({endpoint(): [definitions()[number] for number in declared]})
    assert check_set.problems == ()
    (members,) = check_set.members.values()
    return {number: member.label for number, member in zip(declared, members, strict=True)}


def test_labels__of_twenty_declarations() -> None:
    """The first has the plain label, others what differs if that may be shown, else four digits; no host, no secret."""
    found = labels()
    hashed = {number: label for number, label in found.items() if "#" in label}
    assert {number: label.partition("#")[0] for number, label in hashed.items()} == {
        1: "Fine",
        5: "Service",
        6: "Service",
        7: "Service",
        10: "Service",
        11: "Service",
        12: "Service",
        18: "Telling",
    }
    assert all(len(label.partition("#")[2]) == 4 for label in hashed.values())
    assert {number: label for number, label in found.items() if "#" not in label} == {
        0: "Fine",
        2: "Service",
        3: "Service(limit=80)",
        4: "Service(limit=70, every=2.0)",
        8: "Service(alias='x')",
        9: "Service(alias='x', limit=80)",
        13: "orders",
        14: "orders(limit=60)",
        15: "Service(every=['a', 'b'])",
        16: "Telling",
        17: "Telling(message='another word')",
        19: "Alias(alias='y')",
    }
    assert len(set(found.values())) == 20
    assert not [text for text in ("example", "10.0.0", "hunter2", "me:", "cache") if text in str(found)]


FIRSTS = (0, 2, 8, 13, 16, 19)
"""The first declared of each plain label."""


def test_labels__stay_when_others_come_and_go() -> None:
    """Whatever is declared after the first of a label, or is not any more, in any order, changes no other label."""
    whole = labels()
    rest = [number for number in whole if number not in FIRSTS]
    for number in rest:
        for found in (labels(range(number)), labels(other for other in whole if other != number)):
            assert found == {place: whole[place] for place in found}
    for seed in range(5):
        random.Random(seed).shuffle(rest)  # noqa: S311 - no secret
        assert labels([*FIRSTS, *rest]) == whole


def test_labels__stay_when_one_is_declared_before() -> None:
    """A new one changes labels only where it takes the plain one of the first, and only of those with that."""
    plain = {number: labels([number])[number] for number in range(len(DECLARATIONS))}
    for added in plain:
        others = [number for number in plain if number != added]
        before = labels(others)
        for place in range(0, len(others) + 1, 3 if LONG else 8):
            found = labels([*others[:place], added, *others[place:]])
            changed = {number for number, label in before.items() if found[number] != label}
            assert {plain[number] for number in changed} <= {plain[added]}, (added, place)
            assert not changed or (found[added] == plain[added] and plain[added] in before.values()), (added, place)


@pytest.mark.parametrize("order", [1, -1])
def test_labels__a_name_pins(order: int) -> None:
    """A check whose label was given as its name keeps it, whatever is declared before it."""
    declared: list[Any] = [
        Service,
        (Service, {"limit": 80}),
        (Service, {"url": "https://b.example/", "name": "Service#beef"}),
        (Service, {"limit": 1, "name": "Service"}),
    ]
    check_set = build_check_set({endpoint(): entries(*declared[::order])})
    (members,) = check_set.members.values()
    assert [member.label for member in members][::order] == [
        "Service(limit=90.0)",
        "Service(limit=80)",
        "Service#beef",
        "Service",
    ]


SCRIPT = """
import json, django
from django.conf import settings
settings.configure(SECRET_KEY="x", HEALTH_CHECK={"MAX_CONCURRENCY": 0})
django.setup()
from tests.health_check.registry.test_labels import labels
print(json.dumps(labels()))
"""


@pytest.mark.parametrize("hash_seed", ["1", long("2")])
def test_labels__the_same_in_every_process(hash_seed: str) -> None:
    """Workers, hosts and starts agree on the labels."""
    output = run([sys.executable, "-c", SCRIPT], ROOT, environment={**clean_environment(), "PYTHONHASHSEED": hash_seed})
    assert {int(number): label for number, label in json.loads(output).items()} == labels()
