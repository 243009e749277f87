"""The check set: the checks of all endpoints, each once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from health_check.registry.check_set import CheckSet, build_check_set
from health_check.registry.definitions import Definition
from health_check.runner.boundary import execute
from tests.support.checks import Alias, Broken, Fine, Telling, Unbuildable, Unnameable
from tests.support.placing import endpoint, entries


@dataclasses.dataclass(repr=False)
class Nameless(Fine):
    """Is called like its siblings, whatever its options."""

    alias: str = "default"


def built(**items: Sequence[object]) -> tuple[CheckSet, Mapping[str, list[tuple[str, bool]]]]:
    """Return the check set of endpoints with these items, and its members by endpoint."""
    check_set = build_check_set({endpoint(name): entries(*listed) for name, listed in items.items()})
    members = {e.name: [(m.label, m.critical) for m in found] for e, found in check_set.members.items()}
    return check_set, members


def said(definition: Definition) -> str:
    """Return what a check says when it runs."""
    return "; ".join(message.text for message in execute(definition).messages)


def test_assemble__in_the_order_of_the_endpoint() -> None:
    """An endpoint has its checks in its order, critical or not as its entries say."""
    check_set, members = built(health=[Broken, (Alias, {"alias": "a", "critical_service": False}), Fine])
    assert members == {"health": [("Broken", True), ("Alias(alias='a')", False), ("Fine", True)]}
    assert [definition.label for definition in check_set.definitions.values()] == [
        label for label, _ in members["health"]
    ]
    assert check_set.problems == ()


def test_assemble__same_check_on_two_endpoints() -> None:
    """One check on two endpoints is one definition, critical where its entry says so; the strictest budgets hold."""
    check_set, members = built(
        health=[(Fine, {"timeout": 3, "max_age": 20})],
        ready=["tests.support.checks.Fine", (Fine, {"timeout": 2, "critical_service": False})],
        maybe=[(Fine, {"max_age": 30, "critical_service": False})],
    )
    assert list(check_set.definitions) == ["Fine"]
    assert members == {"health": [("Fine", True)], "ready": [("Fine", True)], "maybe": [("Fine", False)]}
    assert check_set.definitions["Fine"].timeout == 2
    assert check_set.definitions["Fine"].critical is True
    assert {(problem.kind, problem.endpoint) for problem in check_set.problems} == {
        ("policies", "health"),
        ("policies", "ready"),
        ("policies", "maybe"),
    }


@pytest.mark.parametrize("options", [{}, {"critical_service": False}, {"name": "Fine"}])
def test_assemble__no_warning_without_contradiction(options: dict[str, object]) -> None:
    """Entries that contradict each other in no budget are nothing to warn of."""
    check_set, _ = built(health=[Fine], ready=[(Fine, options)])
    assert check_set.problems == ()


@pytest.mark.parametrize("order", [1, -1])
def test_assemble__name_of_either_entry(order: int) -> None:
    """A check that one entry names has that name on all endpoints."""
    items: dict[str, Sequence[object]] = {"health": [Fine], "ready": [(Fine, {"name": "it"})]}
    check_set, members = built(**dict(list(items.items())[::order]))
    assert list(check_set.definitions) == ["it"]
    assert members == {"health": [("it", True)], "ready": [("it", True)]}


def test_assemble__equal_labels_of_different_checks() -> None:
    """Different checks that would have one label are run, each under a label of its own."""
    check_set, members = built(
        health=[Nameless, (Nameless, {"alias": "a", "critical_service": False})], ready=[(Nameless, {"alias": "b"})]
    )
    assert members == {
        "health": [("Nameless", True), ("Nameless(alias='a')", False)],
        "ready": [("Nameless(alias='b')", True)],
    }
    assert [said(definition) for definition in check_set.definitions.values()] == ["", "", ""]
    assert check_set.problems == ()
    assert check_set.namesakes == {"Nameless": tuple(check_set.definitions)}


def test_assemble__only_credentials_differ() -> None:
    """What nothing but its credentials tells from two others is shown as a critical error that says what to do."""
    check_set, members = built(
        health=[(Telling, {"message": f"redis://me:{word}@cache/", "critical_service": False}) for word in "abc"]
    )
    *_, clashing = check_set.definitions.values()
    assert members["health"][-1] == (clashing.label, True)
    assert "option `name`" in said(clashing)
    assert [(problem.kind, problem.endpoint) for problem in check_set.problems] == [("clash", "health")]


def test_find__by_label_and_alias() -> None:
    """A check is found by what it was called before, unless another one has that as its label."""
    check_set, _ = built(health=[(Fine, {"name": "new", "aliases": ["old", "Broken"]}), Broken])
    found = [check_set.find(label) for label in ("new", "old", "Broken", "nobody")]
    assert [definition and definition.label for definition in found] == ["new", "new", "Broken", None]


@pytest.mark.parametrize(
    ("item", "label", "words"),
    [
        ("no.such.Check", "no.such.Check", ["'no.such.Check' cannot be imported"]),
        ((Fine, {"alias": "x"}), "tests.support.checks.Fine", ["no option 'alias'"]),
        ((Fine, {"timeout": -1}), "tests.support.checks.Fine", ["'timeout'", "-1"]),
        (Unbuildable, "Unbuildable", ["ZeroDivisionError", "correct its options"]),
        (Unnameable, "tests.support.checks.Unnameable", ["ZeroDivisionError", "__repr__"]),
        (Unnameable(), "Unnameable", ["ZeroDivisionError", "__repr__"]),
        (("key", Unnameable()), "key", ["ZeroDivisionError", "__repr__"]),
    ],
)
def test_assemble__unusable_entry(item: object, label: str, words: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """An entry that cannot be used is a critical check in error that names it and the remedy; the log says why."""
    check_set, members = built(health=[Fine, item])
    assert members == {"health": [("Fine", True), (label, True)]}
    text = said(check_set.definitions[label])
    assert [word for word in words if word not in text] == []
    assert "nobody meant" not in text
    (problem,) = check_set.problems
    assert (problem.kind, problem.endpoint) == ("unusable", "health")
    assert problem.text in text
    assert "nobody meant" in caplog.text or "ZeroDivisionError" not in words


def test_assemble__two_unusable_entries_of_one_class() -> None:
    """Each of two bad entries says what is wrong with it."""
    check_set, _ = built(health=[(Alias, {"alais": "x"}), (Alias, {"aliaz": "x"})])
    texts = [said(definition) for definition in check_set.definitions.values()]
    assert [("'alais'" in text, "'aliaz'" in text) for text in texts] == [(True, False), (False, True)]
    assert [problem.kind for problem in check_set.problems] == ["unusable", "unusable"]


def test_assemble__many_checks_without_comparing_each_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred checks with plain options are told apart without comparing any two; one that needs it is compared."""
    compared: list[str] = []
    same_check = Definition.same_check

    def counted(self: Definition, other: Definition) -> bool:
        compared.append(other.label)
        return same_check(self, other)

    monkeypatch.setattr(Definition, "same_check", counted)
    many = [(Alias, {"alias": f"a{number}"}) for number in range(100)]
    check_set, _ = built(health=many, ready=many)
    assert (len(check_set.definitions), compared) == (100, [])
    built(health=[*many, (Alias, {"alias": ["a list"]})])
    assert len(compared) == 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"alias": 1}, {"alias": True}),
        ({"alias": "default"}, {}),
        ({"alias": ["a"]}, {"alias": ["a"]}),
        ({"alias": "a", "timeout": 1}, {"alias": "a", "timeout": 2}),
        ({"alias": b"a"}, {"alias": "a"}),
        ({"alias": ["a"]}, {"alias": "a"}),
        ({"alias": None}, {"alias": 0}),
        ({"alias": float("nan")}, {"alias": float("nan")}),
    ],
)
def test_assemble__by_key_as_by_comparison(one: dict[str, object], other: dict[str, object]) -> None:
    """What has a key is the same check exactly where comparing says so, in either order."""
    (first,), (second,) = entries((Nameless, one)), entries((Nameless, other))
    same = first.same_check(second)
    assert same is second.same_check(first)
    if first.key is not None and second.key is not None:
        assert (first.key == second.key) is same
    for pair in ((one, other), (other, one)):
        check_set, _ = built(health=[(Nameless, options) for options in pair])
        assert len(check_set.definitions) == (1 if same else 2)
