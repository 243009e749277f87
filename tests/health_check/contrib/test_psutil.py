"""The checks of the machine's own resources."""

from __future__ import annotations

import collections
import datetime
import pathlib
import re
import time
import types
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from django.test import Client
from pytest_django import Settings

from health_check import Disk, Memory
from health_check.backends import HealthCheck
from health_check.contrib.psutil import CPU, Battery, Load, Temperature
from tests.conftest import Mount
from tests.support.checks import messages_of

Set = Callable[..., None]

Times = collections.namedtuple("Times", ["user", "system", "idle", "iowait", "guest"], defaults=(0.0, 0.0))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Set:
    """A function that sets what psutil measures, by the name of its function."""

    def set_measured(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setattr(psutil, name, lambda value=value: value, raising=False)

    return set_measured


@pytest.mark.parametrize("limit", [101, None, 0])
def test_disk__ok(tmp_path: pathlib.Path, limit: float | None) -> None:
    """A disk with room, or without a limit, is in order."""
    assert messages_of(Disk(path=tmp_path, max_disk_usage_percent=limit)) == []
    assert messages_of(Disk(path=str(tmp_path), max_disk_usage_percent=limit)) == []


def test_disk__not_ok(tmp_path: pathlib.Path) -> None:
    """From the limit on a warning says how full the disk is; a path that is not there is unavailable, and not shown."""
    [error] = messages_of(Disk(path=tmp_path, max_disk_usage_percent=-1))
    assert re.fullmatch(r"warning: \d+\.\d % of the disk in use", error)
    [error] = messages_of(Disk(path=tmp_path / "missing"))
    assert error == "unavailable: cannot read the usage of the disk (FileNotFoundError)"


@pytest.mark.parametrize(
    ("options", "fine"),
    [
        ({"max_memory_usage_percent": None}, True),
        ({"max_memory_usage_percent": 101}, True),
        ({"max_memory_usage_percent": 0}, True),
        ({"max_memory_usage_percent": -1}, False),
        ({"max_memory_usage_percent": None, "min_gibibytes_available": 0}, True),
        ({"max_memory_usage_percent": None, "min_gibibytes_available": 10**6}, False),
        ({"max_memory_usage_percent": 101, "min_gibibytes_available": 10**6}, False),
        ({"max_memory_usage_percent": -1, "min_gibibytes_available": 0}, False),
    ],
)
def test_memory__limits(options: dict[str, Any], fine: bool) -> None:
    """Either limit gives a warning, which says how much there is of how much; None and 0 set no limit."""
    errors = messages_of(Memory(**options))
    assert len(errors) == (0 if fine else 1)
    for error in errors:
        assert error.startswith("warning: ")
        assert f"of {psutil.virtual_memory().total / 1024**3:.1f} GiB" in error


def test_settings__of_version_3(settings: Settings) -> None:
    """The thresholds of 3.x still apply, in their units, with a warning that names the remedy."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": 75, "MEMORY_MIN": 512}
    with pytest.warns(DeprecationWarning, match="max_disk_usage_percent"):
        assert Disk().max_disk_usage_percent == 75
    with pytest.warns(DeprecationWarning, match="min_gibibytes_available"):
        assert Memory().min_gibibytes_available == 0.5
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": None}  # which switched it off
    with pytest.warns(DeprecationWarning, match="max_disk_usage_percent"):
        assert Disk().max_disk_usage_percent is None


@pytest.mark.filterwarnings("ignore:HEALTH_CHECK:DeprecationWarning")
def test_settings__nonsense(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """A threshold that is no number is a failing check, not an error page."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": "many"}
    mount_checks(Disk)
    response = client.get("/health/?format=json")
    assert response.status_code == 500
    assert "Disk" in response.content.decode()


def spend(monkeypatch: pytest.MonkeyPatch, *looks: Times) -> None:
    """Let the processors have spent these times at the first look and each further one, which are an hour apart."""
    monkeypatch.setattr(CPU, "_last", None)
    remaining, moments = iter(looks), iter(range(0, 3600 * 100, 3600))
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(remaining))
    clock = types.SimpleNamespace(monotonic=lambda: float(next(moments)), sleep=time.sleep)
    monkeypatch.setattr("health_check.contrib.psutil.time", clock)  # not that of other threads


@pytest.mark.parametrize(
    ("looks", "limit", "errors"),
    [
        (
            [Times(100, 0, 100), Times(109, 0, 101), Times(119, 9, 182), Times(169, 59, 182)],
            80,
            ["warning: the processors are 90.0 % busy", "warning: the processors are 100.0 % busy"],
        ),
        ([Times(0, 0, 0), Times(50, 0, 25, iowait=25, guest=40)], -1, ["warning: the processors are 50.0 % busy"]),
        ([Times(5, 5, 5), Times(5, 5, 5)], 1, []),
    ],
    ids=["since the last run", "waiting for disks, and guests", "no time counted"],
)
def test_cpu__looks(monkeypatch: pytest.MonkeyPatch, looks: list[Times], limit: float, errors: list[str]) -> None:
    """The first run measures for a moment, each further one since the one before; guests' time is users', too."""
    with monkeypatch.context() as patch:
        spend(patch, *looks)
        found = [messages_of(CPU(max_usage_percent=limit)) for _ in looks[1:]]
    assert [error for each in found for error in each] == errors


@pytest.mark.parametrize("interval", [0.2, datetime.timedelta(seconds=0.2)])
def test_cpu__interval(interval: float | datetime.timedelta) -> None:
    """An interval is measured while the run waits."""
    start = time.monotonic()
    assert len(messages_of(CPU(max_usage_percent=-1, interval=interval))) == 1
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("limit", [None, 101])
def test_cpu__no_limit(limit: float | None) -> None:
    """A limit that is never reached, or none, is never warned of."""
    assert messages_of(CPU(max_usage_percent=limit)) == []


def test_cpu__one_run_after_the_other() -> None:
    """Runs that follow each other at once still measure for a moment."""
    for _ in range(3):
        [error] = messages_of(CPU(max_usage_percent=-1))
        assert error.startswith("warning: the processors are ")


@pytest.mark.parametrize(("minutes", "errors"), [(1, []), (5, ["2.00"]), (15, ["4.00"])])
def test_load__by_minutes(measured: Set, minutes: int, errors: list[str]) -> None:
    """The load over the minutes that are asked for is warned of from its limit on, by processor."""
    measured(getloadavg=(7.9, 8.0, 16.0), cpu_count=4)
    told = [f"warning: the load is {load} per processor over {minutes} min" for load in errors]
    assert messages_of(Load(minutes=minutes)) == told


def test_load__real_one() -> None:
    """The machine's own load can be read."""
    assert messages_of(Load(max_load_per_cpu=10**6)) == []
    assert len(messages_of(Load(max_load_per_cpu=0))) == 1


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
    assert messages_of(Battery(**options)) == errors


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
    assert messages_of(Temperature(**options)) == [f"warning: {error}" for error in errors]


@pytest.mark.parametrize("check", [Battery(power_plugged=True), Temperature(), Temperature(device=None)])
def test_sensors__none(measured: Set, monkeypatch: pytest.MonkeyPatch, check: HealthCheck) -> None:
    """A machine without such a sensor is in order, also where psutil cannot know of any."""
    measured(sensors_battery=None, sensors_temperatures={})
    assert messages_of(check) == []
    monkeypatch.delattr(psutil, "sensors_battery")
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert messages_of(check) == []
