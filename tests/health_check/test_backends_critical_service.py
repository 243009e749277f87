"""Whether a check is critical, however its class says it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import pytest

from health_check.backends import HealthCheck
from tests.support.checks import Fine


class Bare(HealthCheck):
    """Says it as a bare attribute."""

    critical_service = False


@dataclasses.dataclass
class BareDataclass(HealthCheck):
    """Says it as a bare attribute of a dataclass, beside a required field."""

    critical_service = False
    url: str


@dataclasses.dataclass
class Annotated(HealthCheck):
    """Says it as a field."""

    critical_service: bool = False


@dataclasses.dataclass
class ClassVariable(HealthCheck):
    """Says it as a class variable."""

    critical_service: ClassVar[bool] = False  # type: ignore[misc]


@dataclasses.dataclass(slots=True)
class SlotsClassVariable(HealthCheck):
    """Says it as a class variable of a class with slots."""

    critical_service: ClassVar[bool] = False  # type: ignore[misc]
    url: str = ""


@dataclasses.dataclass(slots=True)
class SlotsAnnotated(HealthCheck):
    """Says it as a field of a class with slots."""

    critical_service: bool = False


@dataclasses.dataclass
class DataclassOfBare(Bare):
    """Inherits it."""

    url: str = ""


class OfSlots(SlotsClassVariable):
    """Inherits it from a class with slots."""


@pytest.mark.parametrize(
    "construct",
    [
        Bare,
        lambda: BareDataclass("http://shop"),
        Annotated,
        ClassVariable,
        SlotsClassVariable,
        SlotsAnnotated,
        DataclassOfBare,
        OfSlots,
    ],
)
def test_critical_service__however_it_is_written(construct: Callable[[], HealthCheck]) -> None:
    """A class that says it is not critical makes instances that say so."""
    assert construct().critical_service is False


def test_critical_service__true_by_default() -> None:
    """A check that says nothing is critical."""
    assert Fine().critical_service is True


def test_critical_service__slots_refused() -> None:
    """A bare attribute that ``slots=True`` would lose is refused at the declaration, with the remedy."""
    with pytest.raises(TypeError, match=r"Slotted: .*ClassVar\[bool\] = False.*leave slots=True out"):

        @dataclasses.dataclass(slots=True)
        class Slotted(HealthCheck):
            critical_service = False
            url: str = ""


def test_critical_service__slots_of_a_bare_parent_refused() -> None:
    """What a parent says is not lost either."""
    with pytest.raises(TypeError, match="critical_service"):
        dataclasses.make_dataclass("Child", [("url", str, "")], bases=(Bare,), slots=True)


def test_critical_service__bare_below_slots_holds_or_is_refused() -> None:
    """A bare attribute below a class with slots holds, or is refused loudly."""

    @dataclasses.dataclass(slots=True)
    class Parent(HealthCheck):
        url: str = ""

    try:
        child = type("Child", (Parent,), {"critical_service": False})
    except TypeError as error:
        assert "critical_service" in str(error)  # noqa: PT017 - one of two good ends
    else:
        assert child().critical_service is False
