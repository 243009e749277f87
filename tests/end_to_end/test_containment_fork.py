"""Checks that fork: the child never goes on with what its parent was doing."""

from __future__ import annotations

import pathlib

import psutil
import pytest

from tests.support.client import eventually, get
from tests.support.containment import Scene, serving, site_with
from tests.support.site.checks import noted_runs

pytestmark = pytest.mark.server

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


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_forking_checks__leave_no_child(tmp_path: pathlib.Path, kind: str) -> None:
    """The parents' outcomes count; children that come back from the check end, and the port is free after the exit."""
    site = site_with(tmp_path, [f"tests.support.site.hostile.{name}" for name in FORKING])
    with serving(kind, site) as scene:

        def all_have_run_again() -> bool:
            said = scene.health()
            assert {name: said[name] for name in FORKING} == FORKING
            assert scene.is_healthy_but_for(*FORKING)
            return all(len(noted_runs(tmp_path, name)) >= 3 for name in FORKING)

        with scene.asking_for_other_pages():
            eventually(all_have_run_again, what="three runs of each")
        runs = sum(len(noted_runs(tmp_path, name)) for name in FORKING)
        eventually(lambda: not children_of(scene.process), what="the end of all children", seconds=10)
        print(f"{runs} forks under {kind}, no child left; slowest answers: {scene}")
        assert_counts_parents(scene)
        scene.server.stop()
        with pytest.raises(ConnectionRefusedError):
            get(f"{scene.server.url}/plain/")


def assert_counts_parents(scene: Scene) -> None:
    """Check that metrics count the runs of the parents, each of which ended with a warning."""
    for name in FORKING:
        assert scene.metric(f'runs_total{{check="{name}",outcome="ok"}}') == [0.0]
        assert scene.metric(f'runs_total{{check="{name}",outcome="warning"}}') >= [3.0]


def test_forking_checks__are_told_of_once(tmp_path: pathlib.Path) -> None:
    """No child writes to the log that the check is otherwise than its parent found it."""
    site = site_with(tmp_path, [f"tests.support.site.hostile.{name}" for name in FORKING], STORE=ALONE)
    with serving("gunicorn", site) as scene:
        eventually(
            lambda: scene.health() and all(len(noted_runs(tmp_path, name)) >= 3 for name in FORKING),
            what="three runs of each",
        )
        eventually(lambda: not children_of(scene.process), what="the end of all children", seconds=10)
        lines = [line for line in scene.server.output().splitlines() if " is " in line]
    assert sorted(lines) == sorted(f"{name} is {said}" for name, said in FORKING.items())
