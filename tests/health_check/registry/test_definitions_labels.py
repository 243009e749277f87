"""The names of checks."""

from __future__ import annotations

import dataclasses

import pytest

import health_check
from health_check.backends import ConciseRepr, HealthCheck
from health_check.registry.definitions import label_of
from tests.support.checks import Alias, Fine, Unnameable


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


def test_label_of__repr_raises() -> None:
    """What a repr raises comes out, for the runner to deal with."""
    with pytest.raises(ZeroDivisionError):
        label_of(Unnameable())


@pytest.mark.parametrize(("check", "label"), [(Fine(), "Fine"), (Alias(), "Alias(alias='default')")])
def test_label_of__class_and_dataclass(check: HealthCheck, label: str) -> None:
    """A plain class is called by its name, a dataclass as dataclasses are."""
    assert label_of(check) == label


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


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (health_check.Cache(), "Cache"),
        (health_check.Cache(alias="sessions", key_prefix="p"), "Cache(alias='sessions')"),
        (health_check.Database(), "Database"),
        (health_check.Database(alias="replica"), "Database(alias='replica')"),
        (health_check.Disk(), "Disk"),
        (health_check.Disk(path="/data", max_disk_usage_percent=50), "Disk(path='/data')"),
        (health_check.Mail(timeout=1), "Mail"),
        (health_check.Memory(min_gibibytes_available=1, max_memory_usage_percent=50), "Memory"),
        (health_check.Storage(alias="media"), "Storage(alias='media')"),
    ],
)
def test_label_of__our_own_checks(check: HealthCheck, label: str) -> None:
    """Our checks show what they are, and neither thresholds nor the working directory."""
    assert label_of(check) == label
