"""Checks that do what no check should: each is told of as it deserves, nothing else is harmed, and the process ends."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import signal
from collections.abc import Callable, Iterator

import psutil
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
from tests.support.site.checks import noted_runs, release
from tests.support.site.configuration import Site
from tests.support.site.hostile import LINES

pytestmark = pytest.mark.server

HOSTILE = "tests.support.site.hostile"

UNKNOWN = "unknown error"

LACKING = "unavailable: this process has no memory left: it cannot judge, and its result is not shared"

SAID = {
    "tests.support.checks.Exiting": UNKNOWN,
    "tests.support.checks.AsyncExiting": UNKNOWN,
    "tests.support.checks.BaseBlown": UNKNOWN,
    f"{HOSTILE}.Recursing": UNKNOWN,
    f"{HOSTILE}.Exhausting": f"{UNKNOWN}\n{LACKING}",
    f"{HOSTILE}.Mutating": "unavailable: mutated",
    f"{HOSTILE}.LoggingMuch": "OK",
    f"{HOSTILE}.StartingThreads": "OK",
}
"""Checks that end, and what is said of them."""

ONCE = {f"{HOSTILE}.LoggingMuch", f"{HOSTILE}.StartingThreads"}
"""Those that are run once: what they leave behind adds up."""

AGAIN = ["Recursing", "Exhausting", "Mutating", "Flooding"]
"""Those that note their runs, and are run again and again."""

LONGEST_BYTES = 100_000
"""How long a page may become because of what one check says, and a log."""


@pytest.mark.parametrize("kind", ["gthread", long("uvicorn")])
def test_hostile_checks__harm_nothing(tmp_path: pathlib.Path, kind: str) -> None:
    """The process lives on, each check is told of by its own name, and the others and all pages go on."""
    said = {path.rpartition(".")[2]: text for path, text in SAID.items()}
    checks = [*([path, {"max_age": 600} if path in ONCE else {}] for path in SAID), f"{HOSTILE}.Flooding"]
    with serving(kind, site_with(tmp_path, checks)) as scene:

        def have_run_again() -> bool:
            found = scene.health()
            assert {label: found[label] for label in said} == said
            assert found["Flooding"].startswith("unavailable: xxx")
            assert scene.is_healthy_but_for(*said, "Flooding")
            for kind in ("html", "text"):
                assert len(scene.ask("/health/", status=500, seconds=1.5, format=kind).body) < LONGEST_BYTES
            return all(len(noted_runs(tmp_path, name)) >= 4 for name in AGAIN)

        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(have_run_again, what="four runs of each")
        print(f"under {kind}: {most[-1]} threads at most; slowest answers: {scene}")
        assert scene.server.output().count("\nline ") == LINES
        assert len(scene.server.output()) < LONGEST_BYTES + LINES * len("line 1234\n")
        assert {run.pid for name in AGAIN for run in noted_runs(tmp_path, name)} == {scene.process.pid}
        assert scene.metric("store_up") == [1.0]
        scene.stop()


def test_check__that_returns_late__is_not_listened_to(tmp_path: pathlib.Path) -> None:
    """What comes after the deadline is dropped on all faces, and the next run counts."""
    with serving("gthread", site_with(tmp_path, [f"{HOSTILE}.Late"])) as scene:
        timeouts = 'runs_total{check="Late",outcome="timeout"}'
        eventually(lambda: scene.metric(timeouts) == [1.0], what="the run to be given up")
        release(tmp_path)
        texts: set[str] = set()

        def is_in_order() -> bool:
            text = get(f"{scene.server.url}/health/", format="json").json()["Late"]
            texts.add(text)
            return bool(text == "OK")

        eventually(is_in_order, what="the check to be in order")
        assert not [text for text in texts if "too late" in text]
        assert "too late" not in scene.server.output()
        counted = {name: scene.metric(f'runs_total{{check="Late",outcome="{name}"}}') for name in OUTCOMES}
        assert counted == {"ok": [1.0], "warning": [0.0], "error": [0.0], "timeout": [1.0]}


OUTCOMES = ("ok", "warning", "error", "timeout")


FORKING = {
    "ForkReturning": "warning: said by the parent",
    "ForkRaising": "warning: said by the parent",
    "ForkOnLoop": "warning: said by the parent",
    "ForkExiting": "warning: the child ended with 3",
}
"""Checks that fork, and what they say."""

ALONE = {"BACKEND": "health_check.stores.memory.MemoryStore"}
"""A store that needs no thread, so that a child could publish what it thinks has come of the check."""


def children_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the children of a process that have not ended."""
    return [child for child in process.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", ["gthread", "uvicorn"])
def test_forking_checks__leave_no_child(tmp_path: pathlib.Path, kind: str) -> None:
    """The parents' outcomes count, and are logged once; children end, and the port is free after the exit."""
    site = site_with(tmp_path, [f"tests.support.site.hostile.{name}" for name in FORKING], STORE=ALONE)
    with serving(kind, site) as scene:

        def all_have_run_again() -> bool:
            said = scene.health()
            assert {name: said[name] for name in FORKING} == FORKING
            assert scene.is_healthy_but_for(*FORKING)
            return all(len(noted_runs(tmp_path, name)) >= 3 for name in FORKING)

        with scene.asking_for_other_pages():
            eventually(all_have_run_again, what="three runs of each")
        eventually(lambda: not children_of(scene.process), what="the end of all children", seconds=10)
        print(f"under {kind}, slowest answers: {scene}")
        for name in FORKING:
            assert scene.metric(f'runs_total{{check="{name}",outcome="ok"}}') == [0.0]
            assert scene.metric(f'runs_total{{check="{name}",outcome="warning"}}') >= [3.0]
        lines = [line for line in scene.server.output().splitlines() if " is " in line]
        assert sorted(lines) == sorted(f"{name} is {said}" for name, said in FORKING.items())
        scene.server.stop()
        with pytest.raises(ConnectionRefusedError):
            get(f"{scene.server.url}/plain/")


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
