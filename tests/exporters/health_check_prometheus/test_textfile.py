"""Writing a file for node_exporter's textfile collector."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest
from django.urls import path

from health_check import extensions
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.commands import executed
from tests.support.parsing import families_in
from tests.support.small_servers import free_address

STATUS = "django_health_check_status"
LAST_LINE = b"django_health_check_draining 0.0\n"
WRITES = 50


@pytest.fixture(autouse=True)
def _site(mount_checks: Mount) -> None:
    """A site in order."""
    mount_checks(Fine)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where to write."""
    return tmp_path / "shop.prom"


def write(*arguments: object) -> int:
    """Run the command, and return its exit code; what is wrong goes to standard error."""
    return executed("health_check", *arguments)


def values(file: pathlib.Path) -> dict[str, float]:
    """Return the status of each check in a file."""
    found = families_in(file.read_text())
    assert all(name.startswith("django_health_check") for name in found)
    return {sample.labels["check"]: sample.value for sample in found[STATUS].samples}


def test_textfile__has_the_health_checks(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file has the metrics of the health checks, without time stamps, and everybody may read it."""
    mask = os.umask(0o022)
    try:
        assert write("--textfile", file) == 0
    finally:
        os.umask(mask)
    assert values(file) == {"Fine": 1}
    assert all(s.timestamp is None for family in families_in(file.read_text()).values() for s in family.samples)
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]
    printed = capsys.readouterr()
    assert printed.err == f"The metrics are in {file}.\n"
    assert printed.out == "Fine                     ... OK\n"


def test_textfile__of_a_failing_site(file: pathlib.Path, mount: Mount) -> None:
    """What fails is written, too, the exit code is that of a failing endpoint; the file may be of one endpoint."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"),
        path("ready/", HealthCheckView.as_view(checks=[Fine]), name="ready"),
    )
    assert write("--textfile", file) == 1
    assert values(file) == {"Fine": 1, "Broken": 0}
    assert write("ready", "--no-http", "--textfile", file) == 0
    assert values(file) == {"Fine": 1}


def test_textfile__other_suffix(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that node_exporter does not look for is written, with a remark."""
    assert write("--textfile", tmp_path / "shop.txt") == 0
    assert values(tmp_path / "shop.txt") == {"Fine": 1}
    assert "node_exporter reads only files that end in .prom" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place", ["no/such/folder/shop.prom", "a-file/shop.prom", "a-folder", "a-folder/", "x" * 300 + ".prom"]
)
def test_unwritable__is_told(place: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be written is named with the reason and the remedy; the exit code is 2, nothing is left."""
    (tmp_path / "a-file").touch()
    (tmp_path / "a-folder").mkdir()
    assert write("--textfile", f"{tmp_path}/{place}") == 2
    printed = capsys.readouterr().err
    assert f"{tmp_path}/{place} cannot be written (" in printed
    assert "name a file in a folder that this user may write to" in printed
    assert {found.name for found in tmp_path.rglob("*")} == {"a-file", "a-folder"}


def test_unwritable__keeps_what_is_there(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the disk is full, the former file stays as it is, and no part of the new one."""
    file.write_text("before\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    assert write("--textfile", file) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [found.read_text() for found in file.parent.iterdir()] == ["before\n"]


def test_replaced__in_one_step(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads the file while it is written again and again never sees a part of it, nor none; cron sends no mail."""
    assert write("--textfile", file, "--verbosity", 0) == 0
    done = threading.Event()
    seen: list[tuple[bytes, int]] = []

    def read() -> None:
        while not done.is_set():
            with file.open("rb") as stream:
                seen.append((stream.read(), os.fstat(stream.fileno()).st_ino))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(WRITES):
            assert write("--textfile", file, "--verbosity", 0) == 0
    finally:
        done.set()
        reader.join()
    assert capsys.readouterr().err == ""
    assert len({inode for _, inode in seen}) > 1
    assert all(text.startswith(b"# HELP ") and text.endswith(LAST_LINE) for text, _ in seen)
    assert len({text.count(b"\n") for text, _ in seen}) == 1


@pytest.mark.parametrize("option", ["--textfile", "--pushgateway"])
def test_wrong_usage__over_http(option: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a server says cannot be written or pushed: the remedy is told."""
    assert write("health", option, tmp_path / "shop.prom") == 2
    assert "add --no-http" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--textfile", "--pushgateway"])
def test_wrong_usage__not_installed(
    option: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the app the command says what is missing, and nothing runs."""
    monkeypatch.setattr(extensions, "outputs", {})
    assert write(option, tmp_path / "shop.prom") == 2
    assert f"{option} needs 'prometheus' in HEALTH_CHECK['EXPORTERS']." in capsys.readouterr().err


@pytest.mark.parametrize("grouping", ["shop", "shop=", "=north", "a b=c", "1=x", "größe=x"])
def test_wrong_usage__grouping(grouping: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A group that is not a label with a value is refused."""
    assert write("--pushgateway", free_address(), "--grouping", grouping) != 0
    assert "is not a label with a value, as in instance=web1" in capsys.readouterr().err


def test_nothing_to_check__no_file(file: pathlib.Path, mount: Mount) -> None:
    """Where there is nothing to check, there is no file: an empty one would look as if all were in order."""
    mount(path("live/", HealthCheckView.as_view(checks=[]), name="live"))
    assert write("--textfile", file) == 2
    assert not file.exists()


def test_help__reads_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help names the options with their defaults, in a group of their own."""
    monkeypatch.setenv("COLUMNS", "110")
    assert write("--help") == 0
    text = capsys.readouterr().out
    group = text[text.index("for Prometheus:") : text.index("Without ENDPOINT")]
    assert [line.split()[0] for line in group.splitlines() if line.startswith("  --")] == [
        "--textfile",
        "--pushgateway",
        "--job",
        "--grouping",
    ]
    assert "(default: health_check)" in group
