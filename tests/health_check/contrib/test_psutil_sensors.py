"""The checks of processors, load, batteries and temperatures."""

from __future__ import annotations

import collections
import datetime
import time
import types
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from health_check.backends import HealthCheck
from health_check.contrib.psutil import CPU, Battery, Load, Temperature
from health_check.exceptions import Misconfigured
from health_check.registry.definitions import label_of

Set = Callable[..., None]

Times = collections.namedtuple("Times", ["user", "system", "idle", "iowait", "guest"], defaults=(0.0, 0.0))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Set:
    """A function that sets what psutil measures, by the name of its function; None removes the function."""

    def set_measured(**values: object) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delattr(psutil, name, raising=False)
            else:
                monkeypatch.setattr(psutil, name, lambda value=value: value, raising=False)

    return set_measured


@pytest.fixture
def _first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process not have looked at the processors before, and waiting take no time."""
    monkeypatch.setattr(CPU, "_last", None)


def errors_of(check: HealthCheck) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


def spend(monkeypatch: pytest.MonkeyPatch, *looks: Times) -> None:
    """Let the processors have spent these times at one look after the other, which are an hour apart."""
    remaining, moments = iter(looks), iter(range(0, 3600 * 100, 3600))
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(remaining))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(moments)))


@pytest.mark.usefixtures("_first_look")
def test_cpu__since_the_last_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run measures for a moment, and each further one since the one before."""
    with monkeypatch.context() as patch:
        spend(patch, Times(100, 0, 100), Times(109, 0, 101), Times(119, 9, 182), Times(169, 59, 182))
        found = [errors_of(CPU()) for _ in range(3)]
    assert found == [
        ["warning: the processors are 90.0 % busy"],
        [],
        ["warning: the processors are 100.0 % busy"],
    ]


@pytest.mark.usefixtures("_first_look")
def test_cpu__waiting_for_disks_and_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a disk is no work, and that of guests, which users' time has in it already, counts once."""
    with monkeypatch.context() as patch:
        spend(patch, Times(0, 0, 0), Times(50, 0, 25, iowait=25, guest=40))
        found = errors_of(CPU(max_usage_percent=-1))
    assert found == ["warning: the processors are 50.0 % busy"]


@pytest.mark.usefixtures("_first_look")
def test_cpu__clock_of_the_system_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no time was counted, nothing was done."""
    with monkeypatch.context() as patch:
        spend(patch, Times(5, 5, 5), Times(5, 5, 5))
        found = errors_of(CPU(max_usage_percent=1))
    assert found == []


@pytest.mark.parametrize("interval", [0.2, datetime.timedelta(seconds=0.2)])
def test_cpu__interval(interval: float | datetime.timedelta) -> None:
    """An interval is measured while the run waits."""
    start = time.monotonic()
    assert len(errors_of(CPU(max_usage_percent=-1, interval=interval))) == 1
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("limit", [None, 101])
def test_cpu__no_limit(limit: float | None) -> None:
    """A limit that is never reached, or none, is never warned of."""
    assert errors_of(CPU(max_usage_percent=limit)) == []


def test_cpu__one_run_after_the_other() -> None:
    """Runs that follow each other at once still measure for a moment."""
    for _ in range(3):
        [error] = errors_of(CPU(max_usage_percent=-1))
        assert error.startswith("warning: the processors are ")


@pytest.mark.parametrize(("minutes", "errors"), [(1, []), (5, ["2.00"]), (15, ["4.00"])])
def test_load__by_minutes(measured: Set, minutes: int, errors: list[str]) -> None:
    """The load over the minutes that are asked for is warned of from its limit on, by processor."""
    measured(getloadavg=(7.9, 8.0, 16.0), cpu_count=4)
    told = [f"warning: the load is {load} per processor over {minutes} min" for load in errors]
    assert errors_of(Load(minutes=minutes)) == told


def test_load__real_one() -> None:
    """The machine's own load can be read."""
    assert errors_of(Load(max_load_per_cpu=10**6)) == []
    assert len(errors_of(Load(max_load_per_cpu=0))) == 1


def test_load__other_minutes() -> None:
    """The system has no other averages."""
    with pytest.raises(Misconfigured, match="1, 5 or 15"):
        Load(minutes=2)


def charge(percent: float, plugged: bool | None) -> Any:
    """Return a battery as psutil describes it."""
    return types.SimpleNamespace(percent=percent, secsleft=3600, power_plugged=plugged)


@pytest.mark.parametrize(
    ("battery", "options", "errors"),
    [
        (charge(20, plugged=False), {}, []),
        (charge(19.4, plugged=True), {}, ["warning: the battery has 19 % left"]),
        (charge(19, plugged=False), {"min_percent_available": None}, []),
        (charge(90, plugged=False), {"power_plugged": True}, ["warning: the battery is not plugged in"]),
        (charge(90, plugged=None), {"power_plugged": True}, []),
        (
            charge(5, plugged=False),
            {"power_plugged": True},
            ["warning: the battery is not plugged in", "warning: the battery has 5 % left"],
        ),
    ],
)
def test_battery__charge(measured: Set, battery: object, options: dict[str, Any], errors: list[str]) -> None:
    """A charge below the limit is warned of, and, if wanted, a battery that is known not to be plugged in."""
    measured(sensors_battery=battery)
    assert errors_of(Battery(**options)) == errors


def heat(label: str, current: float, high: float | None) -> Any:
    """Return a sensor as psutil describes it."""
    return types.SimpleNamespace(label=label, current=current, high=high, critical=high)


HOT = {
    "coretemp": [heat("Core 0", 80.4, 80.0), heat("Core 1", 70.0, 80.0), heat("Core 2", 99.0, None)],
    "nvme": [heat("", 85.0, 84.0)],
}


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ({}, ["Core 0 has 80 °C"]),
        ({"device": "nvme"}, ["nvme has 85 °C"]),
        ({"device": None}, ["Core 0 has 80 °C", "nvme has 85 °C"]),
        ({"max_temperature_celsius": 70}, ["Core 0 has 80 °C", "Core 1 has 70 °C", "Core 2 has 99 °C"]),
        ({"max_temperature_celsius": 100, "device": None}, []),
        ({"device": "k10temp"}, []),
    ],
)
def test_temperature__limits(measured: Set, options: dict[str, Any], errors: list[str]) -> None:
    """Each sensor of the device counts, by the limit that is given, else by its own, if it has one."""
    measured(sensors_temperatures=HOT)
    assert errors_of(Temperature(**options)) == [f"warning: {error}" for error in errors]


@pytest.mark.parametrize("check", [Battery(power_plugged=True), Temperature(), Temperature(device=None)])
def test_sensors__none(measured: Set, check: HealthCheck) -> None:
    """A machine without such a sensor is in order, also where psutil cannot know of any."""
    measured(sensors_battery=None, sensors_temperatures=None)
    assert errors_of(check) == []
    measured(sensors_temperatures={})
    assert errors_of(check) == []


def test_battery__none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that could have a battery but has none is in order."""
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert errors_of(Battery(power_plugged=True)) == []


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (CPU(max_usage_percent=50, interval=1), "CPU"),
        (Load(max_load_per_cpu=1), "Load"),
        (Load(minutes=15), "Load(minutes=15)"),
        (Battery(min_percent_available=50, power_plugged=True), "Battery"),
        (Temperature(max_temperature_celsius=70), "Temperature"),
        (Temperature(device="nvme"), "Temperature(device='nvme')"),
    ],
)
def test_label__no_thresholds(check: HealthCheck, label: str) -> None:
    """The label has what is looked at, and no threshold."""
    assert label_of(check) == label
