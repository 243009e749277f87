"""Coroutines that hang: those that can be ended leave nothing behind, the others cost no other check its run."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import eventually
from tests.support.containment import HEALTHY, Scene, numbered, serving, site_with
from tests.support.repetitions import long
from tests.support.site.checks import noted_runs
from tests.support.site.hostile import count_ended

pytestmark = pytest.mark.server

TIMED_OUT = "unavailable: timed out after 0.5 s"

SPARE_THREADS = 10
"""How many threads a process has beyond its server's and those of the checks."""

LONG = 600.0
"""A ``max_age`` by which nothing is run a second time."""

TASKS = "tests.support.site.hostile.Tasks"
"""A check that runs at every reading, and says how many tasks are on the event loop."""


def tasks_on_loop(scene: Scene) -> int:
    """Return how many tasks are on the runner's event loop beside the one that counts them."""
    return int(scene.health()["Tasks"].removeprefix("warning: ").split()[0]) - 1


def readings_of(scene: Scene, name: str) -> set[str]:
    """Return what ``/health/`` says of the numbered checks of a class."""
    return {said for label, said in scene.health().items() if label.startswith(f"{name}(")}


@pytest.mark.parametrize(("kind", "number"), [long("gunicorn", 100), ("uvicorn", 10)])
def test_waiting_coroutines__are_cancelled(tmp_path: pathlib.Path, kind: str, number: int) -> None:
    """All get to their ``finally``, and neither a thread nor a task is left of them."""
    hung = [[path, {**options, "max_age": LONG}] for path, options in numbered("Waiting", number)]
    with serving(kind, site_with(tmp_path, [*hung, [TASKS, {"max_age": 0}]])) as scene:
        scene.ask("/others/", status=200, seconds=10)
        before = scene.process.num_threads()
        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(lambda: readings_of(scene, "Waiting") == {TIMED_OUT}, what="the deadline of all")
            eventually(lambda: count_ended(tmp_path) == number, what="the `finally` of all")
            eventually(lambda: tasks_on_loop(scene) == 0, what="that their tasks are gone")
        print(
            f"{number} coroutines under {kind}: {before} threads before, {most[-1]} at most; slowest answers: {scene}"
        )
        assert len(noted_runs(tmp_path, "Waiting")) == number
        assert most[-1] <= before + SPARE_THREADS
        assert scene.metric('in_progress{check="Waiting(') == [0.0] * number


def test_deaf_coroutines__cost_a_task_each(tmp_path: pathlib.Path) -> None:
    """A hundred coroutines that cannot be cancelled stay on the loop, are not started again, and hold up nothing."""
    number = 100
    with serving("gunicorn", site_with(tmp_path, [*numbered("Deaf", number), [TASKS, {"max_age": 0}]])) as scene:
        scene.ask("/others/", status=200, seconds=10)
        before = scene.process.num_threads()
        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(lambda: len(scene.seconds_still_running()) == number, what="the page to say: still running")
            eventually(lambda: tasks_on_loop(scene) == number, what="a task of each, and no other")
            assert scene.is_healthy_but_for("Tasks", *(f"Deaf(number={index})" for index in range(number)))
        print(f"{number} deaf coroutines: {before} threads before, {most[-1]} at most; slowest answers: {scene}")
        assert len(noted_runs(tmp_path, "Deaf")) == number
        assert most[-1] < max(before, number) + number / 2, "a thread for each"
        scene.stop()


@pytest.mark.parametrize(("kind", "number"), [("gunicorn", 3), long("uvicorn", 1)])
def test_blocking_coroutines__cost_a_loop_each(tmp_path: pathlib.Path, kind: str, number: int) -> None:
    """Coroutines that block the event loop are left alone with it, and the other ones go on, on a new one."""
    with serving(kind, site_with(tmp_path, numbered("Blocking", number))) as scene:
        scene.ask("/others/", status=200, seconds=10)
        before = scene.process.num_threads()
        blocking = [f"Blocking(number={index})" for index in range(number)]

        def others_go_on() -> bool:
            return scene.is_healthy_but_for(*blocking) and len(scene.seconds_still_running()) == number

        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(others_go_on, what="that the other checks are in order")
            runs = {name: len(noted_runs(tmp_path, name)) for name in HEALTHY}

            def have_run_again() -> bool:
                assert others_go_on()
                return all(len(noted_runs(tmp_path, name)) >= count + 2 for name, count in runs.items())

            eventually(have_run_again, what="two more runs of the others")
        print(
            f"{number} blocking coroutines under {kind}: {before} threads before, {most[-1]} at most; "
            f"slowest answers: {scene}"
        )
        assert len(noted_runs(tmp_path, "Blocking")) == number
        assert most[-1] <= before + number + SPARE_THREADS
        scene.stop()
