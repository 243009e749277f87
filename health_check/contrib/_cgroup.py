"""The memory limit of the container that this process is in: that of its control group, version 2 or 1."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

MOST_BYTES = 1 << 60
"""What version 1 says where there is no limit is near the largest number that it knows."""

FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""What the files of version 2 and of version 1 are called, and what is in ``memory.stat`` that can be dropped."""


def limited(
    root: pathlib.Path = pathlib.Path("/sys/fs/cgroup"), own: pathlib.Path = pathlib.Path("/proc/self/cgroup")
) -> tuple[int, int] | None:
    """Return how many bytes the tightest control group that this process is in has left, and its limit.

    What the system can drop of files it has read counts as left (kubectl and docker count so, too).

    Args:
        root: Where control groups are mounted.
        own: What distinguishes this process's groups.

    Returns:
        None where no group has a limit.
    """
    found = [_left(folder, *names) for folder in _folders(root, own) for names in FILES]
    return min((each for each in found if each is not None), default=None)


def _folders(root: pathlib.Path, own: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield the group's folder and those above it, also where only a part of them is mounted in a container."""
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            controllers, _, path = line.partition(":")[2].partition(":")
            if controllers == "" or "memory" in controllers.split(","):
                place = root / "memory" if controllers else root
                parts = [part for part in path.split("/") if part not in ("", "..")]
                yield from (place.joinpath(*parts[:length]) for length in range(len(parts) + 1))


def _left(folder: pathlib.Path, limit: str, usage: str, droppable: str) -> tuple[int, int] | None:
    try:
        total, used = int((folder / limit).read_text()), int((folder / usage).read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None
    with contextlib.suppress(OSError, ValueError):
        statistics = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
        used = max(0, used - int(statistics.get(droppable, 0)))
    return (max(0, total - used), total) if 0 < total < MOST_BYTES else None
