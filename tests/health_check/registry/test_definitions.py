"""Definitions: which checks are the same, and under which policy they run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.registry.definitions import Definition, Policy, unusable
from health_check.registry.entries import from_instance, parse
from tests.support.checks import Alias, AsyncFine, Fine


def defined(item: object, **options: Any) -> Definition:
    """Return the definition of an entry."""
    return parse((item, options)).define()


@dataclasses.dataclass
class WithInitVar(HealthCheck):
    """Takes an option that is no field."""

    dsn: dataclasses.InitVar[str]
    alias: str = "default"

    def __post_init__(self, dsn: str) -> None:
        self.host = dsn.rpartition("@")[2]

    def check_status(self) -> None:
        """Find nothing wrong."""


class Plain(HealthCheck):
    """Has a constructor of its own."""

    def __init__(self, host: str = "localhost") -> None:
        super().__init__()
        self.host = host

    def check_status(self) -> None:
        """Find nothing wrong."""


@dataclasses.dataclass
class Decorated(HealthCheck):
    """Has a constructor of its own although it is a dataclass."""

    def __init__(self, host: str = "localhost") -> None:
        super().__init__()
        self.host = host

    def check_status(self) -> None:
        """Find nothing wrong."""


class KeywordOptions(HealthCheck):
    """Takes whatever options there are."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def check_status(self) -> None:
        """Find nothing wrong."""


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
        (defined(Plain), defined(Plain, host="localhost", critical_service=False)),
        (defined(Plain, host="a", name="x"), defined(Plain, host="a", max_age=1)),
        (defined(Alias, alias=UNCOMPARABLE), defined(Alias, alias=UNCOMPARABLE)),
        (defined(KeywordOptions, a=1), defined(KeywordOptions, a=1)),
        (defined(WithInitVar, dsn="me@a"), defined(WithInitVar, dsn="me@a")),
        (from_instance(None, Alias("a")), from_instance(None, Alias("a"))),
        (from_instance(None, Plain("a")), from_instance(None, Plain("a"))),
        (from_instance(None, Alias("a")), defined(Alias, alias="a")),
    ],
)
def test_same_check__equal_options(left: Definition, right: Definition) -> None:
    """The same class with equal options of its own is the same check, whatever its policy and however it is given."""
    assert left.same_check(right)
    assert right.same_check(left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (defined(Fine), defined(AsyncFine)),
        (defined(Alias), defined(Alias, alias="other")),
        (defined(Alias, alias=UNCOMPARABLE), defined(Alias, alias=Uncomparable())),
        (defined(Plain, host="a"), defined(Plain, host="b")),
        (defined(Decorated, host="a"), defined(Decorated, host="b")),
        (defined(KeywordOptions, a=1), defined(KeywordOptions, b=1)),
        (defined(WithInitVar, dsn="me@a"), defined(WithInitVar, dsn="me@b")),
        (from_instance(None, Alias("a")), from_instance(None, Alias("b"))),
        (from_instance(None, Plain("a")), from_instance(None, Plain("b"))),
        (from_instance(None, Decorated("a")), from_instance(None, Decorated("b"))),
        (from_instance(None, Plain("a")), defined(Plain, host="b")),
    ],
)
def test_same_check__different(left: Definition, right: Definition) -> None:
    """Another class or other options are another check: none must hide behind the other."""
    assert not left.same_check(right)
    assert not right.same_check(left)


def merged(*policies: Policy) -> Definition:
    """Return a definition that several entries gave."""
    return dataclasses.replace(defined(Fine), policies=policies)


def test_policy__strictest_holds() -> None:
    """Of several timeouts and max_ages the smallest counts."""
    definition = merged(Policy(timeout=3, max_age=20), Policy(timeout=2, max_age=30))
    assert definition.timeout == 2
    assert definition.scope == "host"


def test_policy__settings_count_where_an_entry_is_silent(settings: Settings) -> None:
    """What an entry leaves open is the setting's, read live."""
    definition = merged(Policy(timeout=30, max_age=60), Policy())
    settings.HEALTH_CHECK = {"TIMEOUT": 7, "MAX_AGE": 8}
    assert (definition.timeout, definition.max_age) == (7, 8)
    settings.HEALTH_CHECK = {"TIMEOUT": 70, "MAX_AGE": 80}
    assert (definition.timeout, definition.max_age) == (30, 60)


def test_policy__test_environment_keeps_nothing(settings: Settings) -> None:
    """In a test suite that sets no MAX_AGE every reading runs afresh, whatever the check says."""
    definition = merged(Policy(max_age=60))
    assert definition.max_age == 0
    settings.HEALTH_CHECK = {"MAX_AGE": 5}
    assert definition.max_age == 60


@pytest.mark.parametrize(
    ("scopes", "scope"),
    [
        ((None,), "host"),
        (("fleet",), "fleet"),
        (("fleet", "fleet"), "fleet"),
        (("fleet", None), "host"),
        (("fleet", "host"), "host"),
    ],
)
def test_scope__fleet_only_if_all_say_so(scopes: tuple[str | None, ...], scope: str) -> None:
    """Where entries disagree, each host finds out for itself."""
    assert merged(*(Policy(scope=one) for one in scopes)).scope == scope


def test_definition__describes_its_class() -> None:
    """A definition knows the path, the method and the way of running of its class."""
    assert defined(Fine).backend == "tests.support.checks.Fine"
    assert (defined(Fine).asynchronous, defined(AsyncFine).asynchronous) == (False, True)
    assert defined(Fine).method_name == "check_status"


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


def test_unusable__always_in_error() -> None:
    """What stands for an unusable entry is critical, in error, and says why."""
    definition = unusable("shop.checks.Serach", "There is no such class.")
    check = definition.build()
    check.run_check()
    assert check.status == 0
    assert check.pretty_status().endswith(": There is no such class.")
    assert (definition.label, definition.critical, repr(check)) == ("shop.checks.Serach", True, "shop.checks.Serach")
