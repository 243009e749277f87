"""The plugins of a request."""

from __future__ import annotations

import dataclasses

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.views.plugins import Plugins, filled
from tests.support.checks import Alias, Fine, Unbuildable
from tests.support.readings import reading, report, row, unknown

GONE = ServiceUnavailable("gone")


def test_plugins__list_of_instances() -> None:
    """Iterating gives the instances, in the endpoint's order."""
    plugins = Plugins(report(row(reading("Fine", check=Fine())), row(reading("Alias", check=Alias("other")))))
    assert [type(plugin) for plugin in plugins] == [Fine, Alias]
    assert len(plugins) == 2
    assert isinstance(plugins, list)


def test_plugins__dict_by_label() -> None:
    """The methods of a dict give labels and the same instances."""
    plugins = Plugins(report(row(reading("one", check=Fine())), row(reading("two", check=Fine()))))
    assert list(plugins.keys()) == ["one", "two"]
    assert list(plugins.values()) == list(plugins)
    assert [(label, plugin is list(plugins)[i]) for i, (label, plugin) in enumerate(plugins.items())] == [
        ("one", True),
        ("two", True),
    ]


def test_plugins__of_one_class_with_equal_options() -> None:
    """Instances that are equal as dataclasses stay apart."""
    plugins = Plugins(report(row(reading("one", check=Alias())), row(reading("two", GONE, check=Alias()))))
    assert [plugin.pretty_status() for plugin in plugins] == ["OK", "unavailable: gone"]


def test_filled__says_what_the_record_says() -> None:
    """The instance has the errors, times and status of its record."""
    check = filled(row(reading("Alias", ServiceWarning("soon"), GONE, time_taken=0.5, check=Alias("other"))))
    assert isinstance(check, Alias)
    assert check.alias == "other"
    assert [(type(error), str(error)) for error in check.errors] == [
        (ServiceWarning, "warning: soon"),
        (ServiceUnavailable, "unavailable: gone"),
    ]
    assert check.pretty_status() == "warning: soon\nunavailable: gone"
    assert check.status == 0
    assert check.time_taken == 0.5


def test_filled__ok() -> None:
    """An instance without errors is in order."""
    check = filled(row(reading("Fine", check=Fine())))
    assert (check.errors, check.status, check.pretty_status()) == ([], 1, "OK")


def test_filled__unknown() -> None:
    """An instance whose check never ran says so, and took no time."""
    check = filled(row(unknown("Check", ServiceUnavailable("no result yet"))))
    assert (check.status, check.pretty_status(), check.time_taken) == (0, "unavailable: no result yet", 0)


def test_filled__critical_as_the_endpoint_says() -> None:
    """Whether it is critical is what the endpoint made of it."""
    assert filled(row(reading("Fine", check=Fine()), critical=False)).critical_service is False
    assert filled(row(reading("Fine", check=Fine()))).critical_service is True


def test_filled__copy_of_its_own() -> None:
    """The prototype and other requests' instances stay as they are."""
    prototype = Fine()
    first, second = (filled(row(reading("Fine", GONE, check=prototype))) for _ in range(2))
    first.errors.clear()
    assert first is not prototype
    assert prototype.errors == []
    assert second.pretty_status() == "unavailable: gone"


def test_filled__runs_nothing_of_the_check() -> None:
    """A constructor that fails by now does no harm to the copy."""
    prototype = object.__new__(Unbuildable)
    assert filled(row(reading("Unbuildable", check=prototype))).status == 1


class OwnStatus(HealthCheck):
    """Has attributes that cannot be set."""

    @property
    def time_taken(self) -> float:  # type: ignore[override]
        """Give a time of its own."""
        return 42.0


def test_filled__read_only_attribute() -> None:
    """A property of the user's that cannot be set stays, and the rest is filled."""
    check = filled(row(reading("OwnStatus", GONE, check=OwnStatus())))
    assert (check.time_taken, check.pretty_status()) == (42.0, "unavailable: gone")


@dataclasses.dataclass(frozen=False, slots=True)
class Slotted(HealthCheck):
    """Keeps its options in slots."""

    alias: str = "default"


def test_filled__slots() -> None:
    """What is kept in slots is copied, too."""
    check = filled(row(reading("Slotted", GONE, check=Slotted("other"))))
    assert isinstance(check, Slotted)
    assert (check.alias, check.pretty_status()) == ("other", "unavailable: gone")
