"""The entries of ``checks``."""

from __future__ import annotations

import dataclasses
import datetime
import math
import sys
from pathlib import Path
from typing import Any

import pytest

import health_check
from health_check.backends import HealthCheck
from health_check.registry.entries import (
    NamelessError,
    check_class_of,
    describe,
    from_instance,
    parse,
)
from health_check.registry.policies import EntryError
from tests.support.checks import Alias, ExitingAtConstruction, Fine, Unbuildable, Unnameable


@dataclasses.dataclass
class Owner(HealthCheck):
    """Has fields of its own by names that are policy elsewhere."""

    name: str = "shop"
    scope: str = "everything"
    max_age: int = 100
    timeout: float | datetime.timedelta = 3


@dataclasses.dataclass
class Derived(HealthCheck):
    """Has fields that its constructor does not take."""

    name: str = dataclasses.field(default="shop", init=False)
    client: object = dataclasses.field(default=None, init=False)


class Declaring(HealthCheck):
    """Says how it is run."""

    critical_service = False
    timeout = datetime.timedelta(seconds=2)
    max_age = 60
    name = "the search"
    scope = "fleet"


class Computing(HealthCheck):
    """Works out whether it is critical, as version 3.2x let it."""

    @property
    def critical_service(self) -> bool:  # type: ignore[override]
        return False


class Assigning(HealthCheck):
    """Says it in its constructor."""

    def __init__(self) -> None:
        super().__init__()
        self.critical_service = False


class Own(HealthCheck):
    """Means something else by the names of the policy."""

    max_age = "old"

    def name(self) -> str:
        return "x"

    @property
    def scope(self) -> str:
        raise ZeroDivisionError


class Keywords(HealthCheck):
    """Takes whatever options there are."""

    def __init__(self, host: str = "localhost", **options: Any) -> None:
        super().__init__()
        self.given = {"host": host, **options}


@pytest.mark.parametrize(
    ("item", "check_class"),
    [
        ("tests.support.checks.Fine", Fine),
        (Fine, Fine),
        (("tests.support.checks.Fine", {}), Fine),
        ([Fine, {}], Fine),
        ("health_check.Database", health_check.Database),
    ],
)
def test_parse__forms(item: object, check_class: type[HealthCheck]) -> None:
    """An entry is a dotted path, a class, or a pair of either with a dict of options."""
    definition = parse(item).define()
    assert definition.check_class is check_class
    assert (definition.label, definition.critical) == (check_class.__name__, True)


def test_define__options_of_the_constructor() -> None:
    """Options of the constructor reach it, at each run anew."""
    definition = parse((Alias, {"alias": "replica"})).define()
    first, second = definition.build(), definition.build()
    assert isinstance(first, Alias)
    assert (first.alias, definition.label) == ("replica", "Alias(alias='replica')")
    assert first is not second
    assert first is not definition.prototype


POLICY = {"timeout": 1, "max_age": datetime.timedelta(minutes=1), "name": "db", "scope": "fleet"}
OWN = {"name": "x", "scope": "galaxy", "max_age": -1, "timeout": 9}


@pytest.mark.parametrize(
    ("item", "label", "critical", "policy", "options"),
    [
        ((Alias, {**POLICY, "critical_service": False}), "db", False, (1.0, 60.0, "db", "fleet"), {}),
        (Declaring, "the search", False, (2.0, 60.0, "the search", "fleet"), {}),
        (
            (Declaring, {"timeout": 1, "critical_service": True}),
            "the search",
            True,
            (1.0, 60.0, "the search", "fleet"),
            {},
        ),
        (Owner, "Owner(name='shop', scope='everything', max_age=100, timeout=3)", True, (3.0, None, None, None), {}),
        ((Owner, OWN), "Owner(name='x', scope='galaxy', max_age=-1, timeout=9)", True, (9.0, None, None, None), OWN),
        (Own, "Own", True, (None, None, None, None), {}),
        (
            (Keywords, {"port": 1, "name": "x", "timeout": 2, "max_age": 0}),
            "x",
            True,
            (2.0, 0.0, "x", None),
            {"port": 1},
        ),
    ],
)
def test_define__policy(
    item: object, label: str, critical: bool, policy: tuple[object, ...], options: dict[str, object]
) -> None:
    """What an entry says comes before its class, option by option; fields are the check's own, as are other meanings.

    Only ``timeout`` is both: passed to the constructor, and the budget.
    """
    definition = parse(item).define()
    (found,) = definition.policies
    assert (found.timeout, found.max_age, found.name, found.scope) == policy
    assert (definition.label, definition.critical, definition.options) == (label, critical, options)
    assert type(definition.build()) is definition.check_class


def test_define__what_people_are_told_of_a_check() -> None:
    """Tags, runbook, description, title and group hold; of two entries the first that gives one counts."""
    first = {"tags": {"owner": "payments"}, "description": "Where orders are.", "title": "Orders"}
    second = {
        "tags": {"owner": "search", "tier": "1"},
        "runbook": "https://example.com/",
        "group": "Data",
        "title": "X",
    }
    one, two = (parse((Alias, options)).define() for options in (first, second))
    both = dataclasses.replace(one, policies=(*one.policies, *two.policies))
    assert both.tags == {"owner": "payments", "tier": "1"}
    assert (both.runbook, both.description) == ("https://example.com/", "Where orders are.")
    assert (both.title, both.group) == ("Orders", "Data")
    plain = parse(Alias).define()
    assert (plain.tags, plain.runbook, plain.title, plain.group) == ({}, "", "", "")


@pytest.mark.parametrize("check_class", [Declaring, Computing, Assigning])
@pytest.mark.parametrize("by_instance", [False, True])
def test_define__not_critical(check_class: type[HealthCheck], by_instance: bool) -> None:
    """However a check says it is not critical, its entry is not."""
    definition = from_instance(None, check_class()) if by_instance else parse(check_class).define()
    assert definition.critical is False


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("Databse", ["'Databse'", "Did you mean 'Database'?"]),
        ("no.such.module.Check", ["'no.such.module.Check'", "Correct the path"]),
        ("Zzz", ["'Zzz'", "Correct the path"]),
        ("", ["''", "Correct the path"]),
        ("health_check.Databse", ["Did you mean 'Database'?"]),
        ("redis.Reddis", ["Did you mean 'redis.Redis'?"]),
        ("health_check.contrib.celery.Pong", ["Did you mean 'celery.Ping'?"]),
        ("Redis", ["Did you mean 'redis.Redis'?"]),
        ("rabbitmq", ["Did you mean 'rabbitmq.RabbitMQ'?"]),
        ("celery", ["Did you mean 'celery.Ping' or 'celery.Heartbeat'?"]),
        ("shop.checks.Zzz", ["Correct the path."]),
        ("_http.Session", ["Correct the path."]),
        ("django.db.models.Model", ["'django.db.models.Model'", "is not a health check", "HealthCheck"]),
        (42, ["'42'", "is not a health check"]),
        (None, ["'None'", "is not a health check"]),
        (Fine(), ["Fine", "is not a health check"]),
        ((Fine, None), ["tests.support.checks.Fine", "dict of options"]),
        ((Fine, "x"), ["tests.support.checks.Fine", "dict of options"]),
        ((Fine, {1: 2}), ["tests.support.checks.Fine", "dict of options"]),
        ((Fine, {}, {}), ["tests.support.checks.Fine"]),
        (
            (Alias, {"alais": "x"}),
            ["tests.support.checks.Alias", "'alais'", "Did you mean 'alias'?", "critical_service"],
        ),
        ((Fine, {"timeuot": 1}), ["tests.support.checks.Fine", "'timeuot'", "Did you mean 'timeout'?"]),
        ((Fine, {"errors": []}), ["tests.support.checks.Fine", "no option 'errors'"]),
        ((Derived, {"client": 1}), ["Derived", "no option 'client'"]),
        ((Derived, {"name": "x"}), ["Derived", "'name'"]),
        (("health_check.Database", {"password": "hunter2"}), ["health_check.Database", "'password'"]),
    ],
)
def test_parse__unusable(item: object, words: list[str]) -> None:
    """An entry that cannot be used is refused with its name, what is wrong with it, and the remedy."""
    with pytest.raises(EntryError) as caught:
        parse(item)
    text = str(caught.value)
    assert [word for word in words if word not in text] == []
    assert "hunter2" not in text


@pytest.mark.parametrize("error", ["ZeroDivisionError", "SystemExit"])
def test_parse__module_that_raises(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be imported is named, its exception is not shown but for its class."""
    (tmp_path / "raising_checks.py").write_text(f"raise {error}('hunter2')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "raising_checks", raising=False)
    with pytest.raises(EntryError) as caught:
        parse("raising_checks.Check")
    assert f"'raising_checks.Check' cannot be imported: its module raised {error}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


NO_TAGS = ["payments", {"job": "x"}, {"on-call": "x"}, {"tier": 1}, {"group": "x"}, {f"t{n}": "" for n in range(9)}]


@pytest.mark.parametrize(
    ("option", "values", "remedy"),
    [
        ("timeout", [0, "x", True, math.inf, datetime.timedelta(seconds=-1)], "a number of seconds above 0"),
        ("max_age", [-1, math.nan, None], "a number of seconds from 0 up"),
        ("scope", ["galaxy", []], "'host' or 'fleet'"),
        ("critical_service", ["no", 0], "True or False"),
        ("tags", NO_TAGS, "a dict of at most 8 names and texts"),
        ("runbook", ["wiki"], "an address like https://"),
        *((name, [" ", 7], "a text that is not empty") for name in ("name", "description", "title", "group")),
    ],
)
def test_define__unusable_policy(option: str, values: list[object], remedy: str) -> None:
    """A policy option that cannot be used is refused with its name, its value and the remedy."""
    for value in values:
        with pytest.raises(EntryError) as caught:
            parse((Fine, {option: value})).define()
        text = str(caught.value)
        assert "tests.support.checks.Fine" in text
        assert f"option {option!r} with the value {value!r}: use {remedy}" in text


@pytest.mark.parametrize(
    ("check_class", "error"),
    [(Unbuildable, ZeroDivisionError), (Unnameable, NamelessError), (ExitingAtConstruction, SystemExit)],
)
def test_define__raises(check_class: type[HealthCheck], error: type[BaseException]) -> None:
    """What the constructor or the repr raises comes out, for the catalogue to show; a name spares the repr."""
    with pytest.raises(error):
        parse(check_class).define()
    assert parse((Unnameable, {"name": "x"})).define().label == "x"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("shop.Search", "shop.Search"),
        (("shop.Search", {}), "shop.Search"),
        ((Fine, {}), "tests.support.checks.Fine"),
        (42, "42"),
        ("http://me:hunter2@x", "http://***@x"),
        (Unnameable(), "Unnameable"),
    ],
)
def test_describe__item(item: object, text: str) -> None:
    """An item is described by its path, else by what it looks like; never with a secret or an exception."""
    assert describe(item) == text


@pytest.mark.parametrize(
    ("key", "check", "label"),
    [
        (None, Alias("a"), "Alias(alias='a')"),
        ("Fine", Fine(), "Fine"),
        ("search", Fine(), "search"),
        (None, Declaring(), "the search"),
        ("other", Declaring(), "other"),
        ("Declaring", Declaring(), "the search"),
    ],
)
def test_from_instance__label(key: str | None, check: HealthCheck, label: str) -> None:
    """The key that a view gives an instance is its label, unless it is just the repr; runs share no errors."""
    definition = from_instance(key, check)
    assert definition.label == label
    definition.build().add_error("gone")
    assert definition.build().errors == check.errors == []


def test_from_instance__keeps_the_entrys_policy() -> None:
    """An instance that ``super().get_plugins()`` gave keeps the policy of its entry."""
    entry = parse((Fine, {"timeout": 1, "critical_service": False, "name": "x"})).define()
    definition = from_instance(entry.label, entry.prototype)
    assert definition.policies == entry.policies
    assert (definition.label, definition.critical) == ("x", False)


@pytest.mark.parametrize(
    ("short", "path"),
    [
        ("Database", "checks.database.Database"),
        ("Disk", "contrib.psutil.Disk"),
        ("redis.Redis", "contrib.redis.Redis"),
        ("celery.Ping", "contrib.celery.Ping"),
    ],
)
def test_parse__short_name(short: str, path: str) -> None:
    """A check of ours may be named shortly; a client of the same name is not meant."""
    found = check_class_of((short, {}))
    assert found is not None
    assert f"{found.__module__}.{found.__qualname__}" == f"health_check.{path}"
