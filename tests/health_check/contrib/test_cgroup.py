"""The limit of a container's memory, as control groups of both versions tell it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import psutil
import pytest

from health_check.contrib import _cgroup
from health_check.contrib._cgroup import limited
from health_check.contrib.psutil import Memory
from health_check.exceptions import ServiceWarning

MIB = 1024**2


V1 = "memory/docker/a"


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        (
            {
                "memory.max": f"{512 * MIB}",
                "memory.current": f"{500 * MIB}",
                "memory.stat": f"anon 1\ninactive_file {100 * MIB}",
            },
            "0::/",
            (512, 112),
        ),
        ({"memory.max": "max", "memory.current": "5"}, "0::/", None),
        (
            {"pod/memory.max": f"{100 * MIB}", "pod/memory.current": f"{90 * MIB}", "pod/web/memory.max": "max"},
            "0::/pod/web",
            (100, 10),
        ),
        ({"memory.max": f"{64 * MIB}", "memory.current": f"{80 * MIB}"}, "0::/../../elsewhere", (64, 0)),
        (
            {
                f"{V1}/memory.limit_in_bytes": f"{256 * MIB}",
                f"{V1}/memory.usage_in_bytes": f"{200 * MIB}",
                f"{V1}/memory.stat": f"inactive_file 1\ntotal_inactive_file {50 * MIB}",
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.usage_in_bytes": "7",
            },
            "12:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n1:name=systemd:/x",
            (256, 106),
        ),
        (
            {"memory/memory.limit_in_bytes": f"{32 * MIB}", "memory/memory.usage_in_bytes": "0"},
            "4:memory:/not/mounted",
            (32, 32),
        ),
        ({"memory.max": "nonsense", "memory.current": "1"}, "nonsense", None),
    ],
)
def test_limited(tmp_path: pathlib.Path, files: dict[str, str], own: str, expected: tuple[int, int] | None) -> None:
    """The tightest of the groups counts, wherever it is mounted; what can be dropped of files is available."""
    assert limited(tmp_path, tmp_path / "own") is None
    for name, text in {**files, "own": own}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert limited(tmp_path, tmp_path / "own") == (expected and (expected[1] * MIB, expected[0] * MIB))


def test_memory__says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container's limit is looked at first, and the text says whose memory it is."""
    group = (20 * MIB, 512 * MIB)
    monkeypatch.setattr(_cgroup, "limited", lambda: group)
    with pytest.raises(ServiceWarning, match=r"0\.0 of 0\.5 GiB available, 96\.1 % in use \(container\)"):
        Memory().check_status()
    larger = (0, 2 * psutil.virtual_memory().total)
    for unlimited in (None, larger):
        monkeypatch.setattr(_cgroup, "limited", lambda found=unlimited: found)
        with pytest.raises(ServiceWarning, match=r"\(host\)"):
            Memory(max_memory_usage_percent=-1).check_status()


PROGRAM = """
import os, pathlib, sys
pathlib.Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from django.conf import settings
settings.configure()
from health_check.contrib.psutil import Memory
held = bytearray(os.urandom(1024)) * (60 * 1024)
try:
    Memory(max_memory_usage_percent=20).check_status()
except Exception as error:
    print(error)
"""


def test_memory__in_a_control_group() -> None:
    """A process in a real group is told of its group's limit, whatever the host has."""
    root = pathlib.Path("/sys/fs/cgroup")
    own = root / ("memory" if (root / "memory").is_dir() else "") / f"health-check-test-{os.getpid()}"
    try:
        own.mkdir()
    except OSError as error:
        pytest.skip(f"No control group can be made here: {error}")
    try:
        limits = [own / name for name in ("memory.max", "memory.limit_in_bytes") if (own / name).exists()]
        if not limits:
            pytest.skip("Control groups do not limit memory here")
        limits[0].write_text(str(160 * MIB))
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(own)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        own.rmdir()
    assert "of 0.2 GiB available" in done.stdout, done.stderr
    assert "(container)" in done.stdout
