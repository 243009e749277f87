"""Checks that hang in threads which Python's exit waits for: those of executors."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import Lag, eventually
from tests.support.containment import EXIT_SECONDS, PROMISED_SECONDS, command_seconds, serving, site_with
from tests.support.servers import standalone_exporter
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

HANGING = ["StuckInExecutor", "StuckInCoroutine"]


def site_of(folder: pathlib.Path) -> Site:
    """Return a site with these checks."""
    return site_with(folder, [f"tests.support.site.hostile.{name}" for name in HANGING])


def have_started(folder: pathlib.Path) -> bool:
    """Tell whether all that hang have."""
    return all(noted_runs(folder, name) for name in HANGING)


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_sigterm__ends_a_server(tmp_path: pathlib.Path, kind: str) -> None:
    """A web server ends at once."""
    with serving(kind, site_of(tmp_path)) as scene:
        said = scene.health()
        assert {said[name] for name in HANGING} == {"unavailable: timed out after 0.5 s"}
        print(f"exit of {kind} after {scene.stop():.2f} s")


def test_sigterm__ends_the_exporter(tmp_path: pathlib.Path) -> None:
    """The standalone exporter ends at once."""
    lag = Lag()
    with standalone_exporter(site_of(tmp_path)) as server, lag.measured():
        eventually(lambda: have_started(tmp_path), what="the start of both checks")
        code, seconds = server.stop()
    assert code == 0
    assert seconds < EXIT_SECONDS + lag.slack


def test_command__ends(tmp_path: pathlib.Path) -> None:
    """The command ends when it has told how all checks are; it takes no longer than where none hangs, but for that."""
    lag = Lag()
    with lag.measured():
        done, seconds = command_seconds(site_of(tmp_path), "health_check")
    assert done.returncode == 1
    assert "StuckInExecutor          ... unavailable: timed out after 0.5 s" in done.stdout
    assert seconds < PROMISED_SECONDS + EXIT_SECONDS + lag.slack
