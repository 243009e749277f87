"""Checks that fork: the child never goes on with what its parent was doing."""

from __future__ import annotations

import pathlib

import psutil
import pytest

from tests.support.client import eventually, get
from tests.support.containment import serving, site_with
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
