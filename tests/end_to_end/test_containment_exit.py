"""The end of a process while checks hang in it: at once, or with the answers that were asked for."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Lag, eventually, get
from tests.support.containment import (
    BUSY_SECONDS,
    EXIT_SECONDS,
    HEALTHY,
    PROMISED_SECONDS,
    TIMEOUT,
    command_seconds,
    hanging,
    serving,
    site_with,
)
from tests.support.repetitions import long
from tests.support.servers import Server, site_under_gunicorn, standalone_exporter
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

TIMED_OUT = f"unavailable: timed out after {TIMEOUT:g} s"

CROWDS = pytest.mark.parametrize("number", [10, long(100)])


def site_of(folder: pathlib.Path, number: int) -> Site:
    """Return a site with so many checks that hang, and two that do in threads which the exit of Python waits for."""
    return site_with(folder, [*hanging("Hang", number), *hanging("HangInExecutor", 1), *hanging("HangInCoroutine", 1)])


@contextlib.contextmanager
def sync_worker(site: Site) -> Iterator[Server]:
    """Serve a site with a gunicorn worker that answers one request after the other."""
    with site_under_gunicorn(site, "--worker-class=sync", "--threads=1") as server:
        yield server


@CROWDS
@pytest.mark.parametrize("serve", [sync_worker, standalone_exporter])
def test_sigterm__ends_at_once(
    tmp_path: pathlib.Path, serve: Callable[[Site], contextlib.AbstractContextManager[Server]], number: int
) -> None:
    """A server whose checks hang ends at once; the other kinds of servers are seen in test_hanging."""
    lag = Lag()
    with serve(site_of(tmp_path, number)) as server, lag.measured():
        answer = get(f"{server.url}/health/", format="json")
        assert answer.seconds < PROMISED_SECONDS + BUSY_SECONDS + lag.slack
        for name, runs in (("Hang", number), ("HangInExecutor", 1), ("HangInCoroutine", 1)):
            eventually(lambda name=name, runs=runs: len(noted_runs(tmp_path, name)) == runs, what=f"runs of {name}")  # type: ignore[misc]
        code, seconds = server.stop()
    print(f"{number} hung checks: the answer came after {answer.seconds:.2f} s, the exit after {seconds:.2f} s")
    assert code == 0
    assert seconds < EXIT_SECONDS + lag.slack


@CROWDS
def test_command__ends_with_its_outcome(tmp_path: pathlib.Path, number: int) -> None:
    """The command tells how all checks are, those that hang included, and ends."""
    lag = Lag()
    with lag.measured():
        done, seconds = command_seconds(
            site_of(tmp_path, number), "health_check", "health_check", "--no-http", "--fresh"
        )
    print(f"{number} hung checks: the command ended {seconds:.2f} s later than where none hangs")
    assert done.returncode == 1, done.stderr
    assert seconds < PROMISED_SECONDS + EXIT_SECONDS + lag.slack
    said = dict(line.split(" ... ", 1) for line in done.stdout.splitlines())
    said = {label.rstrip(): text for label, text in said.items()}
    assert {name: said.pop(name) for name in HEALTHY} == dict.fromkeys(HEALTHY, "OK")
    assert said.keys() == {*(f"Hang-{index}" for index in range(number)), "HangInExecutor-0", "HangInCoroutine-0"}
    excuses = {TIMED_OUT, "unavailable: waiting for a free thread"}
    assert {text for text in said.values() if "still running, started" not in text} <= excuses
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["gthread", "uvicorn"])
def test_sigterm__answers_who_waits(tmp_path: pathlib.Path, kind: str) -> None:
    """A request that waits for a check that hangs is answered in its budget, and that is how long the exit takes."""
    with serving(kind, site_with(tmp_path, hanging("Hang", 1))) as scene:
        scene.ask("/others/", status=200, seconds=10)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(get, f"{scene.server.url}/health/", format="json")
            eventually(lambda: noted_runs(tmp_path, "Hang"), what="the start of the check that hangs")
            code, seconds = scene.server.stop()
            answer = waiting.result()
    print(f"exit of {kind} after {seconds:.2f} s, the answer after {answer.seconds:.2f} s")
    assert code in (0, -signal.SIGTERM)
    assert seconds < PROMISED_SECONDS + EXIT_SECONDS + scene.lag.slack
    assert answer.status == 500
    assert answer.json()["Hang-0"] == TIMED_OUT
    assert answer.seconds < PROMISED_SECONDS + BUSY_SECONDS + scene.lag.slack
