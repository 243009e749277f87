"""The memory limit of the container that this process is in: that of its control group, version 2 or 1."""

from __future__ import annotations

import dataclasses
import pathlib

MOST_BYTES = 1 << 60
"""What version 1 says where there is no limit is near the largest number that it knows."""

FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""What the files of version 2 and of version 1 are called, and what is in ``memory.stat`` that can be dropped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limited:
    """The memory of a control group, in bytes."""

    total: int
    """The limit."""
    available: int
    """What is left of it, with what the system can drop of files it has read (kubectl and docker count so, too)."""


def limited(
    root: pathlib.Path = pathlib.Path("/sys/fs/cgroup"), own: pathlib.Path = pathlib.Path("/proc/self/cgroup")
) -> Limited | None:
    """Return the memory of the tightest control group that this process is in; None where none has a limit.

    Args:
        root: Where control groups are mounted.
        own: What distinguishes this process's groups.
    """
    found = [each for folder in _folders(root, own) for each in [_limited_by(folder)] if each is not None]
    return min(found, key=lambda each: each.available) if found else None


def _folders(root: pathlib.Path, own: pathlib.Path) -> list[pathlib.Path]:
    """Return the group's folder and those above it, also where only a part of them is mounted in a container."""
    folders: dict[pathlib.Path, None] = {}
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or "memory" in controllers.split(","):
            place = root if controllers == "" else root / "memory"
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for length in range(len(parts), -1, -1):
                folders[place.joinpath(*parts[:length])] = None
    return list(folders)


def _limited_by(folder: pathlib.Path) -> Limited | None:
    for limit, usage, droppable in FILES:
        try:
            total, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        if 0 < total < MOST_BYTES:
            return Limited(total=total, available=max(0, total - max(0, used - _droppable(folder, droppable))))
    return None


def _droppable(folder: pathlib.Path, name: str) -> int:
    try:
        pairs = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
        return int(pairs.get(name, 0))
    except (OSError, ValueError):
        return 0
