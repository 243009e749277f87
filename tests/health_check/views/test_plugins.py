"""The plugins of a request."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.reports import Reading
from health_check.views.plugins import Plugins, filled
from tests.support.checks import Alias, Fine, Unbuildable
from tests.support.readings import reading, report, row, unknown

GONE = ServiceUnavailable("gone")


def test_plugins__list_of_instances_and_dict_by_label() -> None:
    """Iterating gives the instances, in the endpoint's order; equal ones stay apart; a dict's methods give labels."""
    plugins = Plugins(report(row(reading("one", check=Alias())), row(reading("two", GONE, check=Alias()))))
    assert isinstance(plugins, list)
    assert [plugin.pretty_status() for plugin in plugins] == ["OK", "unavailable: gone"]
    assert list(plugins.keys()) == ["one", "two"]
    assert [label for label, _ in plugins.items()] == ["one", "two"]
    for one, two, (_, three) in zip(plugins, plugins.values(), plugins.items(), strict=True):
        assert one is two is three


class OwnTime(HealthCheck):
    """Has an attribute that cannot be set."""

    @property
    def time_taken(self) -> float:  # type: ignore[override]
        """Give a time of its own."""
        return 42.0


@dataclasses.dataclass(frozen=False, slots=True)
class Slotted(HealthCheck):
    """Keeps its options in slots."""

    alias: str = "default"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (reading("Fine", check=Fine()), (1, "OK", 0.25)),
        (unknown("Check", ServiceUnavailable("no result yet")), (0, "unavailable: no result yet", 0)),
        (reading("A", ServiceWarning("soon"), GONE, time_taken=0.5), (0, "warning: soon\nunavailable: gone", 0.5)),
        (reading("OwnTime", GONE, check=OwnTime()), (0, "unavailable: gone", 42.0)),
        (reading("Slotted", GONE, check=Slotted("other")), (0, "unavailable: gone", 0.25)),
        (reading("Unbuildable", check=object.__new__(Unbuildable)), (1, "OK", 0.25)),
    ],
    ids=lambda value: value.label if isinstance(value, Reading) else "",
)
def test_filled__says_what_the_record_says(what: Reading, expected: tuple[int, str, float]) -> None:
    """A copy has the errors, times and status of its record, and is as critical as the endpoint says.

    A property of the user's that cannot be set stays; no constructor is called.
    """
    for critical in (True, False):
        check = filled(row(what, critical=critical))
        assert (check.status, check.pretty_status(), check.time_taken) == expected
        assert [str(error) for error in check.errors] == [message.text for message in what.messages]
        assert check.critical_service is critical


def test_filled__copy_of_its_own() -> None:
    """Options are copied, also from slots; the prototype and other requests' instances stay as they are."""
    prototypes: list[Any] = [Alias("other"), Slotted("other")]
    for prototype in prototypes:
        first, second = (filled(row(reading("Alias", GONE, check=prototype))) for _ in range(2))
        assert (type(first), first.alias) == (type(prototype), "other")  # type: ignore[attr-defined]
        assert [type(error) for error in first.errors] == [ServiceUnavailable]
        first.errors.clear()
        assert first is not prototype
        assert prototype.errors == []
        assert second.pretty_status() == "unavailable: gone"


class OwnErrors(HealthCheck):
    """Has errors that cannot be set."""

    errors = property(lambda self: [GONE])

    def __init__(self) -> None:
        """Set nothing."""


def test_filled__errors_that_cannot_be_set() -> None:
    """The page is shown all the same: runs and records say what is wrong."""
    check = filled(row(reading("OwnErrors", GONE, check=OwnErrors()), critical=False))
    assert (type(check), check.critical_service, check.errors) == (OwnErrors, False, [GONE])
