"""The checks of the machine's own resources."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import time
from typing import ClassVar, NamedTuple

import psutil

from health_check.backends import ConciseRepr, HealthCheck
from health_check.conf import legacy_number, seconds
from health_check.contrib import _cgroup
from health_check.exceptions import Misconfigured, ServiceUnavailable, ServiceWarning

__path__: list[str] = []  # of modules that django-health-check 3.x had in here, which health_check.compat makes

GIBIBYTE = 1024**3

LOAD_MINUTES = (1, 5, 15)
"""What load averages are over."""

FIRST_INTERVAL_SECONDS = 0.1
"""For how long to measure where there is nothing to compare with."""


def _max_disk_usage_percent() -> float | None:
    return legacy_number("DISK_USAGE_MAX", 90.0)


def _min_gibibytes_available() -> float | None:
    megabytes = legacy_number("MEMORY_MIN", None)
    return None if megabytes is None else megabytes / 1024


@dataclasses.dataclass(repr=False)
class Disk(ConciseRepr, HealthCheck):
    """Warn when a disk fills up.

    Verifies that the file system of a path has room left. That costs one system call a run.

    Args:
        path: A path on the file system; default the working directory.
        max_disk_usage_percent: From which percentage in use on to warn; None and 0 never do. Default 90.
    """

    path: pathlib.Path | str = dataclasses.field(default_factory=os.getcwd)
    max_disk_usage_percent: float | None = dataclasses.field(default_factory=_max_disk_usage_percent, repr=False)

    def check_status(self) -> None:
        try:
            used = psutil.disk_usage(str(self.path)).percent
        except OSError as error:
            raise ServiceUnavailable(f"cannot read the usage of the disk ({type(error).__name__})") from error
        if self.max_disk_usage_percent and used >= self.max_disk_usage_percent:
            raise ServiceWarning(f"{used:.1f} % of the disk in use")


@dataclasses.dataclass(repr=False)
class Memory(ConciseRepr, HealthCheck):
    """Warn when memory runs out.

    Verifies that the container has memory left, by the limit of its control group (version 2 or 1), or, without a
    limit that is below the machine's memory, that the machine has. That costs a read of the system's counters a run.

    Args:
        min_gibibytes_available: Below how much available memory, in GiB, to warn; default None, never.
        max_memory_usage_percent: From which percentage in use on to warn; None and 0 never do. Default 90.
    """

    min_gibibytes_available: float | None = dataclasses.field(default_factory=_min_gibibytes_available, repr=False)
    max_memory_usage_percent: float | None = dataclasses.field(default=90.0, repr=False)

    def check_status(self) -> None:
        memory, group = psutil.virtual_memory(), _cgroup.limited()
        of, total, free, percent = "host", memory.total, memory.available, float(memory.percent)
        if group is not None and group[1] < total:
            of, (free, total) = "container", group
            percent = 100 * (total - free) / total
        available = free / GIBIBYTE
        short = self.min_gibibytes_available is not None and available < self.min_gibibytes_available
        full = self.max_memory_usage_percent and percent >= self.max_memory_usage_percent
        if short or full:
            size = total / GIBIBYTE
            raise ServiceWarning(f"{available:.1f} of {size:.1f} GiB available, {percent:.1f} % in use ({of})")


@dataclasses.dataclass(repr=False)
class CPU(ConciseRepr, HealthCheck):
    """Warn when the processors are busy.

    Verifies how busy all processors together have been since the last run in this process, or for an interval; inside
    a container those are the host's. That costs a read of the system's counters a run.

    Args:
        max_usage_percent: From which percentage on to warn; None and 0 never do. Default 80.
        interval: For how long to measure, in seconds or as a timedelta, while the run waits; default None, since
            the last run, or for a tenth of a second where there was none.
    """

    max_usage_percent: float | None = dataclasses.field(default=80.0, repr=False)
    interval: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    _last: ClassVar[_Spent | None] = None
    """What the last run in this process found; psutil itself remembers that for each thread."""

    def check_status(self) -> None:
        used = self._percent()
        if self.max_usage_percent and used >= self.max_usage_percent:
            raise ServiceWarning(f"the processors are {used:.1f} % busy")

    def _percent(self) -> float:
        before, interval = CPU._last, seconds(self.interval)
        if interval is not None or before is None or time.monotonic() - before.moment < FIRST_INTERVAL_SECONDS:
            before = _spent()
            time.sleep(FIRST_INTERVAL_SECONDS if interval is None else interval)
        after = CPU._last = _spent()
        total = after.total - before.total
        return 100 * min(1.0, max(0.0, 1 - (after.idle - before.idle) / total)) if total > 0 else 0.0


@dataclasses.dataclass(repr=False)
class Load(ConciseRepr, HealthCheck):
    """Warn when more work is waiting than the processors can do.

    Verifies the load average, per processor; inside a container both are the host's. That costs a system call a run.

    Args:
        max_load_per_cpu: From which load per processor on to warn; default 2.
        minutes: Over how many minutes, 1, 5 or 15; default 5.

    Raises:
        Misconfigured: If ``minutes`` is another number.
    """

    max_load_per_cpu: float = dataclasses.field(default=2.0, repr=False)
    minutes: int = 5

    def __post_init__(self) -> None:
        if self.minutes not in LOAD_MINUTES:
            raise Misconfigured(f"the option `minutes` of Load is {self.minutes!r}: use 1, 5 or 15")

    def check_status(self) -> None:
        load = psutil.getloadavg()[LOAD_MINUTES.index(self.minutes)] / (psutil.cpu_count() or 1)
        if load >= self.max_load_per_cpu:
            raise ServiceWarning(f"the load is {load:.2f} per processor over {self.minutes} min")


@dataclasses.dataclass(repr=False)
class Battery(ConciseRepr, HealthCheck):
    """Warn when a battery runs out.

    Verifies its charge, and, if wanted, that it is plugged in; a machine without battery is ok. That costs a
    read of the system's files a run.

    Args:
        min_percent_available: Below which charge to warn; None never does. Default 20.
        power_plugged: Whether to warn as soon as it is not plugged in; default False.
    """

    min_percent_available: float | None = dataclasses.field(default=20.0, repr=False)
    power_plugged: bool = dataclasses.field(default=False, repr=False)

    def check_status(self) -> None:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        if battery is None:
            return
        if self.power_plugged and battery.power_plugged is False:  # None is not known
            self.add_error(ServiceWarning("the battery is not plugged in"))
        if self.min_percent_available is not None and battery.percent < self.min_percent_available:
            self.add_error(ServiceWarning(f"the battery has {battery.percent:.0f} % left"))


@dataclasses.dataclass(repr=False)
class Temperature(ConciseRepr, HealthCheck):
    """Warn when a device gets hot.

    Verifies each sensor of a device against a limit; a machine without that device, as most in a cloud are, is ok.
    That costs a read of the system's files a run.

    Args:
        device: The device, as psutil calls it; None for all. Default ``"coretemp"``.
        max_temperature_celsius: From how many degrees on to warn; default None, what the sensor itself calls high.
    """

    device: str | None = "coretemp"
    max_temperature_celsius: float | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        found = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
        for device, sensors in found.items():
            if self.device in (None, device):
                for sensor in sensors:
                    self._verify(sensor.label or device, sensor.current, sensor.high)

    def _verify(self, name: str, current: float, high: float | None) -> None:
        limit = high if self.max_temperature_celsius is None else self.max_temperature_celsius
        if limit is not None and current >= limit:
            self.add_error(ServiceWarning(f"{name} has {current:.0f} °C"))


class _Spent(NamedTuple):
    """What the processors have spent their time on, in seconds."""

    moment: float
    """When that was, by the monotonic clock."""
    total: float
    """All their time."""
    idle: float
    """What they had nothing to do in, or waited for a disk."""


def _spent() -> _Spent:
    times = psutil.cpu_times()
    twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in the time of users, too, on Linux
    return _Spent(time.monotonic(), sum(times) - twice, times.idle + getattr(times, "iowait", 0.0))
