"""``python -m health_check_dashboards``, as its user runs it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from health_check_dashboards.__main__ import GROUPS, main
from health_check_dashboards.files import FILES
from health_check_dashboards.options import OF_TARGET, OPTIONS
from tests.support.servers import ROOT

PATHS = {file.path for file in FILES}


def files_in(folder: pathlib.Path) -> set[str]:
    """Return the files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_command__writes_everything(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are written, with folders that are not there yet, and named; by default to ``monitoring``."""
    folder = tmp_path / "etc" / "health"
    assert main([str(folder), "--job", "shop"]) == 0
    assert files_in(folder) == PATHS
    assert set(capsys.readouterr().out.split()) == {str(folder / path) for path in PATHS}
    assert 'up{job="shop"}' in (folder / "prometheus" / "alerts.yml").read_text()
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert files_in(tmp_path / "monitoring") == PATHS


def test_command__needs_nothing_but_python(tmp_path: pathlib.Path) -> None:
    """It runs where no package is installed: neither Django nor the SDK that the dashboards are made with."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(ROOT / "dashboards"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert files_in(tmp_path) == PATHS


PROGRAM = """\
import sys
sys.path.insert(0, sys.argv[1])
from health_check_dashboards.__main__ import GROUPS, main
sys.exit(main([sys.argv[2]]))
"""


def test_command__takes_the_page_from_the_target(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the command, too, ``--target`` alone says where the site is probed."""
    assert main(["--print", "prometheus/prometheus.yml", "--target", "shop.internal:8000"]) == 0
    assert "- http://shop.internal:8000/health/  # --probe" in capsys.readouterr().out


def test_command__lists(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--list`` names each file and what it is for, and writes nothing."""
    folder = tmp_path / "monitoring"
    assert main(["--list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [file.path for file in FILES]
    assert all(len(line.split()) > 3 for line in lines)
    assert not folder.exists()


def test_command__overwrites_nothing_unasked(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that says something else stops it before anything is written; ``--force`` overwrites."""
    mine = tmp_path / "prometheus" / "alerts.yml"
    mine.parent.mkdir()
    mine.write_text("groups: []\n")
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "nothing was written" in error
    assert "--force" in error
    assert str(mine) in error
    assert files_in(tmp_path) == {"prometheus/alerts.yml"}
    assert mine.read_text() == "groups: []\n"
    assert main([str(tmp_path), "--force"]) == 0
    assert files_in(tmp_path) == PATHS
    assert "HealthCheckFailing" in mine.read_text()


def test_command__may_be_repeated(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there already as it would be written is no reason to refuse; what is missing is added."""
    assert main([str(tmp_path)]) == 0
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Everything in {tmp_path} is up to date.\n"
    (tmp_path / "compose.yaml").unlink()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'compose.yaml'}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["file"], "file is not a folder"),
        (["/proc/monitoring"], "/proc/monitoring"),  # where not even root can make one
        (["--failing-for", "soon"], "--failing-for is 'soon': use a duration like"),
        (["--label", "job"], "--label is 'job'"),
        (["--print", "alerts.yml"], "did you mean 'prometheus/alerts.yml'?"),
        (["--print", "zzz"], "use one of --list"),
    ],
)
def test_command__says_what_is_wrong(
    arguments: list[str],
    text: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be done is named, without a traceback, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(arguments) == 2
    assert text in capsys.readouterr().err
    assert files_in(tmp_path) == {"file"}


@pytest.mark.parametrize("arguments", [["--unknown"], ["--fail", "2m"], ["a", "b"]])
def test_command__refuses_what_it_does_not_know(arguments: list[str]) -> None:
    """Unknown and abbreviated options, and arguments too many, end it with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_command__explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Its help names each option with its default, by what they are about, examples and exit codes."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith("usage: python -m health_check_dashboards [options] [DIR]\n\nWrite dashboards")
    text = "".join(help_text.split())  # long addresses are broken at hyphens
    for option in OPTIONS:
        assert f"--{option.name}{option.metavar}" in text
        default = "/health/of--target" if option.name in OF_TARGET else option.default or "none"
        assert f"(default:{default})" in text
    for part in ("--list", "--force", "--label", "examples:", "exitcodes:", "monitoring"):
        assert part in text
    positions = [help_text.index(f"\n{title}:") for title in (*GROUPS, "when alerts fire")]
    assert positions == sorted(positions)
    assert {name for names in GROUPS.values() for name in names} <= {option.name for option in OPTIONS}


def test_command__prints_one_file(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--print`` prints a file as it would be written."""
    assert main([str(tmp_path / "out"), "--print", "prometheus/alerts.yml", "--job", "shop"]) == 0
    printed = capsys.readouterr().out
    assert main([str(tmp_path / "out"), "--job", "shop"]) == 0
    assert (tmp_path / "out" / "prometheus" / "alerts.yml").read_text() == printed


def test_command__shows_what_would_change(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--diff`` shows what would be written, writes nothing, and its exit code says whether there is something."""
    assert main([str(tmp_path), "--diff"]) == 1
    assert "--- /dev/null" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    capsys.readouterr()
    assert main([str(tmp_path), "--diff"]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(tmp_path), "--diff", "--failing-for", "7m"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("+") and "7m" in line for line in lines)
    assert "7m" not in (tmp_path / "prometheus" / "alerts.yml").read_text()
