"""The assembly: the checks of all endpoints, each once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from health_check.backends import HealthCheck
from health_check.registry.check_set import Assembly, assemble
from health_check.registry.definitions import Definition
from health_check.runner.boundary import execute
from tests.support.checks import Alias, Broken, ExitingAtConstruction, Fine, Unbuildable, Unnameable
from tests.support.placing import endpoint, entries


@dataclasses.dataclass(repr=False)
class Nameless(HealthCheck):
    """Is called like its siblings, whatever its options."""

    alias: str = "default"

    def check_status(self) -> None:
        """Find nothing wrong."""


def assembled(**items: Sequence[object]) -> tuple[Assembly, Mapping[str, list[tuple[str, bool]]]]:
    """Return the assembly of endpoints with these items, and its members by endpoint."""
    assembly = assemble({endpoint(name): entries(*listed) for name, listed in items.items()})
    members = {e.name: [(m.label, m.critical) for m in found] for e, found in assembly.members.items()}
    return assembly, members


def said(definition: Definition) -> str:
    """Return what a check says when it runs."""
    return "; ".join(message.text for message in execute(definition).messages)


def test_assemble__in_the_order_of_the_endpoint() -> None:
    """An endpoint has its checks in its order, critical or not as its entries say."""
    assembly, members = assembled(health=[Broken, (Alias, {"alias": "a", "critical_service": False}), Fine])
    assert members == {"health": [("Broken", True), ("Alias(alias='a')", False), ("Fine", True)]}
    assert [definition.label for definition in assembly.definitions.values()] == [
        label for label, _ in members["health"]
    ]
    assert assembly.problems == ()


def test_assemble__same_check_on_two_endpoints() -> None:
    """One check on two endpoints is one definition, critical where its entry says so; the strictest budgets hold."""
    assembly, members = assembled(
        health=[(Fine, {"timeout": 3, "max_age": 20})],
        ready=["tests.support.checks.Fine", (Fine, {"timeout": 2, "critical_service": False})],
        maybe=[(Fine, {"max_age": 30, "critical_service": False})],
    )
    assert list(assembly.definitions) == ["Fine"]
    assert members == {"health": [("Fine", True)], "ready": [("Fine", True)], "maybe": [("Fine", False)]}
    assert assembly.definitions["Fine"].timeout == 2
    assert assembly.definitions["Fine"].critical is True
    assert {(problem.kind, problem.endpoint) for problem in assembly.problems} == {
        ("policies", "health"),
        ("policies", "ready"),
        ("policies", "maybe"),
    }


@pytest.mark.parametrize("options", [{}, {"critical_service": False}, {"name": "Fine"}])
def test_assemble__no_warning_without_contradiction(options: dict[str, object]) -> None:
    """Entries that contradict each other in no budget are nothing to warn of."""
    assembly, _ = assembled(health=[Fine], ready=[(Fine, options)])
    assert assembly.problems == ()


@pytest.mark.parametrize("order", [1, -1])
def test_assemble__name_of_either_entry(order: int) -> None:
    """A check that one entry names has that name on all endpoints."""
    items: dict[str, Sequence[object]] = {"health": [Fine], "ready": [(Fine, {"name": "it"})]}
    assembly, members = assembled(**dict(list(items.items())[::order]))
    assert list(assembly.definitions) == ["it"]
    assert members == {"health": [("it", True)], "ready": [("it", True)]}


def test_assemble__equal_labels_of_different_checks() -> None:
    """Of different checks with one label the later is shown as a critical error that says what to do."""
    assembly, members = assembled(
        health=[Nameless, (Nameless, {"alias": "a", "critical_service": False})], ready=[(Nameless, {"alias": "b"})]
    )
    first, second, third = assembly.definitions.values()
    assert first.label == "Nameless"
    assert said(first) == ""
    assert members == {"health": [("Nameless", True), (second.label, True)], "ready": [(third.label, True)]}
    assert second.label != third.label
    for clashing in (second, third):
        assert f"{__name__}.Nameless" in said(clashing)
        assert "option `name`" in said(clashing)
    assert [(problem.kind, problem.endpoint) for problem in assembly.problems] == [
        ("clash", "health"),
        ("clash", "ready"),
    ]


def test_assemble__name_tells_equal_labels_apart() -> None:
    """The remedy works."""
    assembly, _ = assembled(health=[Nameless, (Nameless, {"alias": "a", "name": "a"})])
    assert (list(assembly.definitions), assembly.problems) == (["Nameless", "a"], ())


@pytest.mark.parametrize(
    ("item", "label", "words"),
    [
        ("no.such.Check", "no.such.Check", ["'no.such.Check' cannot be imported"]),
        ((Fine, {"alias": "x"}), "tests.support.checks.Fine", ["no option 'alias'"]),
        ((Fine, {"timeout": -1}), "tests.support.checks.Fine", ["'timeout'", "-1"]),
        (Unbuildable, "tests.support.checks.Unbuildable", ["ZeroDivisionError", "Correct its options"]),
        (ExitingAtConstruction, "tests.support.checks.ExitingAtConstruction", ["SystemExit", "Correct its options"]),
        (Unnameable, "tests.support.checks.Unnameable", ["ZeroDivisionError", "__repr__"]),
        (Unnameable(), "Unnameable", ["ZeroDivisionError", "__repr__"]),
        (("key", Unnameable()), "key", ["ZeroDivisionError", "__repr__"]),
    ],
)
def test_assemble__unusable_entry(item: object, label: str, words: list[str]) -> None:
    """An entry that cannot be used is a critical check in error that names it and the remedy."""
    assembly, members = assembled(health=[Fine, item])
    assert members == {"health": [("Fine", True), (label, True)]}
    text = said(assembly.definitions[label])
    assert [word for word in words if word not in text] == []
    assert "nobody meant" not in text
    (problem,) = assembly.problems
    assert (problem.kind, problem.endpoint) == ("unusable", "health")
    assert problem.text in text


def test_assemble__two_unusable_entries_of_one_class() -> None:
    """Each of two bad entries says what is wrong with it."""
    assembly, _ = assembled(health=[(Alias, {"alais": "x"}), (Alias, {"aliaz": "x"})])
    texts = [said(definition) for definition in assembly.definitions.values()]
    assert [("'alais'" in text, "'aliaz'" in text) for text in texts] == [(True, False), (False, True)]
    assert [problem.kind for problem in assembly.problems] == ["unusable", "unusable"]
