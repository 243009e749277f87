"""The checks of disk and memory."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import psutil
import pytest
from django.test import Client
from pytest_django import Settings

from health_check import Disk, Memory
from health_check.backends import HealthCheck
from health_check.registry.definitions import label_of
from tests.conftest import Mount


def errors_of(check: HealthCheck) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


@pytest.mark.parametrize("limit", [101, None, 0])
def test_disk__ok(tmp_path: pathlib.Path, limit: float | None) -> None:
    """A disk with room, or without a limit, is in order."""
    assert errors_of(Disk(path=tmp_path, max_disk_usage_percent=limit)) == []
    assert errors_of(Disk(path=str(tmp_path), max_disk_usage_percent=limit)) == []


def test_disk__limit_is_reached(tmp_path: pathlib.Path) -> None:
    """From the limit on there is a warning, which says how full the disk is."""
    [error] = errors_of(Disk(path=tmp_path, max_disk_usage_percent=-1))
    assert error.startswith("warning: ")
    assert "%" in error


def test_disk__no_such_path(tmp_path: pathlib.Path) -> None:
    """A path that is not there is unavailable, and not shown."""
    [error] = errors_of(Disk(path=tmp_path / "missing"))
    assert error.startswith("unavailable: ")
    assert str(tmp_path) not in error


def test_disk__defaults() -> None:
    """By default the working directory may be used up to 90 percent."""
    check = Disk()
    assert pathlib.Path(check.path) == pathlib.Path.cwd()
    assert check.max_disk_usage_percent == 90


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
    errors = errors_of(Memory(**options))
    assert len(errors) == (0 if fine else 1)
    for error in errors:
        assert error.startswith("warning: ")
        assert f"of {psutil.virtual_memory().total / 1024**3:.1f} GiB" in error


def test_memory__defaults() -> None:
    """By default up to 90 percent may be used, however much is left."""
    assert (Memory().max_memory_usage_percent, Memory().min_gibibytes_available) == (90, None)


def test_settings__of_version_3(settings: Settings) -> None:
    """The thresholds of 3.x still apply, in their units, with a warning that names the remedy."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": 75, "MEMORY_MIN": 512}
    with pytest.warns(DeprecationWarning, match="max_disk_usage_percent"):
        assert Disk().max_disk_usage_percent == 75
    with pytest.warns(DeprecationWarning, match="min_gibibytes_available"):
        assert Memory().min_gibibytes_available == 0.5


def test_settings__none_switches_off_as_in_version_3(settings: Settings) -> None:
    """In 3.x None switched a threshold off; it still does."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": None}
    with pytest.warns(DeprecationWarning, match="max_disk_usage_percent"):
        assert Disk().max_disk_usage_percent is None


@pytest.mark.filterwarnings("ignore:HEALTH_CHECK:DeprecationWarning")
@pytest.mark.parametrize("setting", [{"DISK_USAGE_MAX": "many"}, {"DISK_USAGE_MAX": True}])
def test_settings__nonsense(settings: Settings, mount_checks: Mount, client: Client, setting: dict[str, Any]) -> None:
    """A threshold that is no number is a failing check, not an error page."""
    settings.HEALTH_CHECK = setting
    mount_checks(Disk)
    response = client.get("/health/?format=json")
    assert response.status_code == 500
    assert "Disk" in response.content.decode()


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (Disk(), "Disk"),
        (Disk(path=os.getcwd()), "Disk"),  # noqa: PTH109 - the default of 3.2x
        (Disk(max_disk_usage_percent=80), "Disk"),
        (Disk(path="/srv"), "Disk(path='/srv')"),
        (Memory(), "Memory"),
        (Memory(min_gibibytes_available=1, max_memory_usage_percent=None), "Memory"),
    ],
)
def test_label__path_alone(check: HealthCheck, label: str) -> None:
    """The label has a path that was asked for, no threshold, and never the working directory."""
    assert label_of(check) == label
