"""Definitions: which checks are the same, under which policy they run, and what they are called."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_django import Settings

from health_check.backends import ConciseRepr, HealthCheck
from health_check.registry.definitions import Definition, ages_of, label_of, timeouts_of
from health_check.registry.entries import from_instance, parse
from health_check.registry.policies import Policy
from tests.support.checks import Alias, AsyncFine, Fine, Unnameable


def defined(item: object, **options: Any) -> Definition:
    """Return the definition of an entry."""
    return parse((item, options)).define()


@dataclasses.dataclass
class WithInitVar(Fine):
    """Takes an option that is no field."""

    dsn: dataclasses.InitVar[str]
    alias: str = "default"

    def __post_init__(self, dsn: str) -> None:
        self.host = dsn.rpartition("@")[2]


class Plain(Fine):
    """Has a constructor of its own."""

    def __init__(self, host: str = "localhost") -> None:
        super().__init__()
        self.host = host


class KeywordOptions(Fine):
    """Takes whatever options there are."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options


class Uncomparable:
    """Cannot be compared, as some clients' objects cannot."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


UNCOMPARABLE = Uncomparable()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (defined(Fine), defined(Fine)),
        (defined(Alias), defined(Alias, alias="default")),
        (defined(Alias, alias="a", timeout=1), defined(Alias, alias="a", critical_service=False)),
        (defined(Plain), defined(Plain, host="localhost")),
        (defined(Plain, host="a", name="x"), defined(Plain, host="a", max_age=1)),
        (defined(Alias, alias=UNCOMPARABLE), defined(Alias, alias=UNCOMPARABLE)),
        (defined(KeywordOptions, a=1), defined(KeywordOptions, a=1)),
        (defined(WithInitVar, dsn="me@a"), defined(WithInitVar, dsn="me@a")),
        (from_instance(None, Plain("a")), from_instance(None, Plain("a"))),
        (from_instance(None, Alias("a")), defined(Alias, alias="a")),
    ],
)
def test_same_check__equal_options(left: Definition, right: Definition) -> None:
    """The same class with equal options of its own is the same check, whatever its policy and however it is given."""
    assert left.same_check(right) is right.same_check(left) is True


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (defined(Fine), defined(AsyncFine)),
        (defined(Alias), defined(Alias, alias="other")),
        (defined(Alias, alias=UNCOMPARABLE), defined(Alias, alias=Uncomparable())),
        (defined(Plain, host="a"), defined(Plain, host="b")),
        (defined(KeywordOptions, a=1), defined(KeywordOptions, b=1)),
        (defined(WithInitVar, dsn="me@a"), defined(WithInitVar, dsn="me@b")),
        (from_instance(None, Plain("a")), from_instance(None, Plain("b"))),
        (from_instance(None, Plain("a")), defined(Plain, host="b")),
    ],
)
def test_same_check__different(left: Definition, right: Definition) -> None:
    """Another class or other options are another check: none must hide behind the other."""
    assert left.same_check(right) is right.same_check(left) is False


def merged(*policies: Policy) -> Definition:
    """Return a definition that several entries gave."""
    return dataclasses.replace(defined(Fine), policies=policies)


def test_policy__strictest_holds(settings: Settings) -> None:
    """Of several timeouts and max_ages the smallest counts; what an entry leaves open is the setting's, read live."""
    stated = merged(Policy(timeout=3, max_age=20), Policy(timeout=2, max_age=30))
    silent = merged(Policy(timeout=30, max_age=60), Policy())
    settings.HEALTH_CHECK = {"TIMEOUT": 7, "MAX_AGE": 8}
    assert (stated.timeout, stated.max_age, silent.timeout, silent.max_age) == (2, 20, 7, 8)
    settings.HEALTH_CHECK = {"TIMEOUT": 70, "MAX_AGE": 80}
    assert (stated.timeout, stated.max_age, silent.timeout, silent.max_age) == (2, 20, 30, 60)
    settings.HEALTH_CHECK = {}
    assert (stated.max_age, silent.max_age) == (0, 0)  # in a test suite every reading runs afresh


def test_scope__fleet_only_if_all_say_so() -> None:
    """Where entries disagree, each host finds out for itself."""
    for scopes in ([None], ["fleet", None], ["fleet", "host"]):
        assert merged(*(Policy(scope=one) for one in scopes)).scope == "host"
    for scopes in (["fleet"], ["fleet", "fleet"]):
        assert merged(*(Policy(scope=one) for one in scopes)).scope == "fleet"


@dataclasses.dataclass(slots=True)
class Slotted(HealthCheck):
    """Keeps a field in a slot."""

    url: str = ""


@pytest.mark.parametrize("definition", [defined(Alias, alias="a"), defined(Plain, host="a"), defined(Slotted, url="a")])
def test_copy__an_instance_of_ones_own(definition: Definition) -> None:
    """A copy has what the prototype has, and is the reader's own."""
    copy = definition.copy()
    assert type(copy) is definition.check_class
    assert "a" in (getattr(copy, name, None) for name in ("alias", "host", "url"))
    copy.errors = []
    copy.add_error("gone")
    assert definition.prototype.errors == []


def test_copy__runs_nothing_of_the_checks() -> None:
    """A copy is made without the constructor, which may be slow or fail."""
    built: list[int] = []

    class Counting(HealthCheck):
        def __init__(self) -> None:
            built.append(1)

    definition = defined(Counting)
    definition.copy()
    assert built == [1]


@dataclasses.dataclass(repr=False)
class Named(HealthCheck):
    """Is called what it is told."""

    text: str

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Search", "Search"),
        ("Search()", "Search"),
        ("Search()()", "Search()"),
        ("Search(host='x')", "Search(host='x')"),
        ("<shop.Search object at 0x7f31AbC0>", "<shop.Search object>"),
        ("Search(client=<Client at 0x7f3>, by=<Key at 0xFF>)", "Search(client=<Client>, by=<Key>)"),
        ("Search(url='https://me:hunter2@x/')", "Search(url='https://***@x/')"),
        ("Search(password='hunter2')", "Search(password='***')"),
        ("  two\n\tlines ", "two lines"),
        ("größer/kleiner: 5 %", "größer/kleiner: 5 %"),
    ],
)
def test_label_of__repr(text: str, label: str) -> None:
    """A check without a name is called by its repr: no empty brackets, addresses, secrets or line breaks."""
    assert label_of(Named(text)) == label


def test_label_of__name_comes_first() -> None:
    """A given name is taken as it is, but for secrets and white space; the repr is not even asked."""
    assert label_of(Unnameable(), "search()") == "search()"
    assert label_of(Unnameable(), " the\nsearch ") == "the search"
    assert label_of(Unnameable(), "http://me:hunter2@x") == "http://***@x"


@pytest.mark.parametrize("text", ["", "()", " \n "])
def test_label_of__nothing_left(text: str) -> None:
    """A check that cannot be called anything is refused."""
    with pytest.raises(ValueError, match="label is empty"):
        label_of(Named(text))


@dataclasses.dataclass(repr=False)
class Concise(ConciseRepr, HealthCheck):
    """Has fields of each kind."""

    required: str
    alias: str = "default"
    hidden: int = dataclasses.field(default=1, repr=False)
    names: list[str] = dataclasses.field(default_factory=lambda: ["a"])
    derived: str = dataclasses.field(default="", init=False)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (Concise("x"), "Concise(required='x')"),
        (Concise("x", alias="other", hidden=2), "Concise(required='x', alias='other')"),
        (Concise("x", names=["b"]), "Concise(required='x', names=['b'])"),
        (Concise("x", names=["a"]), "Concise(required='x')"),
    ],
)
def test_concise_repr__fields(check: Concise, text: str) -> None:
    """Only what tells a check from the usual one is shown."""
    check.derived = "something else"
    assert repr(check) == text


@pytest.mark.parametrize("said", [{}, {"MAX_AGE": 7, "TIMEOUT": 3}])
def test_ages_and_timeouts__of_several_are_those_of_each(settings: Settings, said: dict[str, object]) -> None:
    """The settings count as for one check, those of a test suite as well."""
    settings.HEALTH_CHECK = said
    options: list[dict[str, object]] = [{}, {"max_age": 60, "timeout": 9}, {"max_age": 1, "timeout": 1}]
    checks = [parse(("health_check.Cache", each)).define() for each in options]
    assert ages_of(checks) == [check.max_age for check in checks] == ([7.0, 60.0, 1.0] if said else [0.0] * 3)
    assert timeouts_of(checks) == [check.timeout for check in checks] == [3.0 if said else 5.0, 9.0, 1.0]
