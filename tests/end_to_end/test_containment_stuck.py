"""One, ten or a hundred checks that hang: a thread each, and nothing else."""

from __future__ import annotations

import pathlib
import time

import pytest

from tests.support.client import eventually
from tests.support.containment import HEALTHY, Scene, numbered, serving, site_with
from tests.support.repetitions import long
from tests.support.site.checks import noted_runs

pytestmark = pytest.mark.server

SPARE_THREADS = 10
"""How many threads a process has beyond its server's and those of the checks: the timers', the store's, the event
loop's, those that tell of deadlines, and what the server starts meanwhile."""


@pytest.mark.parametrize(
    ("kind", "number", "concurrency"),
    [
        long("gunicorn", 1, 32),
        ("gunicorn", 10, 4),
        long("gunicorn", 100, 32),
        long("uvicorn", 1, 32),
        long("uvicorn", 10, 32),
        ("uvicorn", 100, 32),
    ],
)
def test_stuck_checks__cost_a_thread_each(tmp_path: pathlib.Path, kind: str, number: int, concurrency: int) -> None:
    """Whatever hangs, all answers come in time, nothing is started twice, all else goes on, and the exit is quick."""
    site = site_with(tmp_path, numbered("Stuck", number), MAX_CONCURRENCY=concurrency)
    with serving(kind, site) as scene:
        assert set(scene.ask("/others/", status=200, seconds=10, format="json").json()) == set(HEALTHY)
        before, start = scene.process.num_threads(), time.monotonic()
        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(lambda: len(scene.seconds_still_running()) == number, what="the page to say: still running")
            await_more_runs(scene)
            seconds = scene.seconds_still_running()
        print(
            f"{number} stuck checks under {kind}: {before} threads before, {most[-1]} at most, "
            f"{scene.process.num_threads()} in the end; slowest answers: {scene}"
        )
        assert len(seconds) == number
        assert max(seconds) <= time.monotonic() - start + 1
        assert len(noted_runs(tmp_path, "Stuck")) == number
        assert most[-1] <= before + number + concurrency + SPARE_THREADS
        assert scene.process.num_threads() <= before + number + SPARE_THREADS
        assert scene.metric('in_progress{check="Stuck(') == [1.0] * number
        assert sum(scene.metric('runs_total{check="Stuck(')) == number
        print(f"exit after {scene.stop():.2f} s")
        assert "Traceback" not in scene.server.output()


def await_more_runs(scene: Scene) -> None:
    """Wait until the other checks have been run twice more, and are in order."""
    runs = {name: len(noted_runs(scene.site.folder, name)) for name in HEALTHY}

    def have_run() -> bool:
        said = scene.health()
        assert {name: said[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, "OK")
        return all(len(noted_runs(scene.site.folder, name)) >= count + 2 for name, count in runs.items())

    eventually(have_run, what="two more runs of the other checks")
