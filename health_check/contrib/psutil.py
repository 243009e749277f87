"""The checks of the machine's own resources."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import psutil

from health_check.backends import HealthCheck
from health_check.conf import legacy_number
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.labels import ConciseRepr

GIBIBYTE = 1024**3


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
        max_disk_usage_percent: From which percentage in use on to warn; None never does. Default 90.
    """

    path: pathlib.Path | str = dataclasses.field(default_factory=os.getcwd)
    max_disk_usage_percent: float | None = dataclasses.field(default_factory=_max_disk_usage_percent, repr=False)

    def check_status(self) -> None:
        try:
            used = psutil.disk_usage(str(self.path)).percent
        except OSError as error:
            raise ServiceUnavailable(f"cannot read the usage of the disk ({type(error).__name__})") from error
        if self.max_disk_usage_percent is not None and used >= self.max_disk_usage_percent:
            raise ServiceWarning(f"{used:.1f} % of the disk in use")


@dataclasses.dataclass(repr=False)
class Memory(ConciseRepr, HealthCheck):
    """Warn when memory runs out.

    Verifies that the machine has memory left; inside a container that is the host's. That costs one read of
    the system's counters a run.

    Args:
        min_gibibytes_available: Below how much available memory, in GiB, to warn; default None, never.
        max_memory_usage_percent: From which percentage in use on to warn; None never does. Default 90.
    """

    min_gibibytes_available: float | None = dataclasses.field(default_factory=_min_gibibytes_available, repr=False)
    max_memory_usage_percent: float | None = dataclasses.field(default=90.0, repr=False)

    def check_status(self) -> None:
        memory = psutil.virtual_memory()
        available = memory.available / GIBIBYTE
        short = self.min_gibibytes_available is not None and available < self.min_gibibytes_available
        full = self.max_memory_usage_percent is not None and memory.percent >= self.max_memory_usage_percent
        if short or full:
            raise ServiceWarning(
                f"{available:.1f} of {memory.total / GIBIBYTE:.1f} GiB available, {memory.percent:.1f} % in use"
            )
