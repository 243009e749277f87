"""Nothing starts before it is needed, and everything starts again after a fork."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.support.client import eventually, get_at_once
from tests.support.repetitions import long
from tests.support.servers import clean_environment, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

FORKABLE = ["tests.support.site.checks.Counting", "tests.support.site.checks.CountingAsync", "health_check.Cache"]
"""Checks of nothing that has locks of its own: a child made while SQLite opens a file hangs in SQLite."""

ALONE = {"STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"}}
"""Settings under which each process runs the checks for itself."""

CHECKS = ["tests.support.site.checks.Counting", "tests.support.site.checks.CountingAsync", "health_check.Database"]


def test_import__starts_no_thread(tmp_path: pathlib.Path) -> None:
    """A process that has set up Django, its URLs and its application has one thread."""
    program = (
        "import pathlib, django, tests.support.plain.wsgi, tests.support.plain.asgi, tests.support.plain.urls;"
        "django.setup();"
        "print([line for line in pathlib.Path('/proc/self/status').read_text().splitlines() if 'Threads' in line])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean_environment(), **Site(folder=tmp_path, checks=CHECKS).environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "['Threads:\\t1']" in done.stdout
    assert noted_runs(tmp_path, "Counting") == []


@pytest.mark.parametrize("application", [long("tests.support.plain.wsgi"), "tests.support.site.warm_wsgi"])
def test_fork__leaves_every_worker_working(tmp_path: pathlib.Path, application: str) -> None:
    """Workers that were forked from a loaded application answer, even if that one had run its checks already."""
    site = Site(folder=tmp_path, checks=CHECKS, health_check=ALONE)
    with site_under_gunicorn(site, "--preload", "--workers=2", application=application) as server:
        seen: set[str] = set()

        def both_have_answered() -> bool:
            for answer in get_at_once([f"{server.url}/health/?format=json"] * 8):
                assert (answer.status, set(answer.json().values())) == (200, {"OK"})
                seen.add(answer.headers[PROCESS_HEADER])
            return len(seen) == 2

        eventually(both_have_answered, what="an answer of each worker")
        runs = {str(run.pid) for run in noted_runs(tmp_path, "Counting")}
        assert seen <= runs
        assert (str(server.process.pid) in runs) == (application == "tests.support.site.warm_wsgi")


def test_fork__in_the_middle_of_runs_leaves_children_working(tmp_path: pathlib.Path) -> None:
    """Children forked while other threads run checks answer right, and none waits for a lock of its parent's."""
    children = 10
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.site.forking", str(children)],
        env={
            **clean_environment(),
            **Site(folder=tmp_path, checks=FORKABLE, max_age=0, health_check=ALONE).environment(),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len({run.pid for run in noted_runs(tmp_path, "Counting")}) == 1 + children
