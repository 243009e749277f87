"""Clocks that are two minutes wrong, or step: checks are run as often as ever, and answers are right."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import pathlib
import time

import pytest

from tests.support.observer import MAX_AGE, Observer, Seen
from tests.support.servers import clean_environment, site_under_gunicorn
from tests.support.services import require
from tests.support.site.checks import Noted, gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

WRONG_SECONDS = 120
WINDOW_SECONDS = 4 * MAX_AGE
ARGUMENTS = ["--workers=2", "--threads=1"]
LABELS = ["Counting", "Flip"]

FROZEN_SECONDS = 5.0 + 0.5 + 2.0 + 3 * MAX_AGE
"""After how long without a run a check counts as frozen: a lease that a step has cut off ends by itself."""


SLEEP = """
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""What every Python under libfaketime 0.9 needs: there, ``clock_nanosleep`` with an absolute time fails with EINVAL."""


def faked(folder: pathlib.Path, offset: str) -> dict[str, str]:
    """Return what lets a program have a wall clock that is wrong by so much; ages it measures as ever."""
    program = pathlib.Path(require("faketime", package="faketime")).resolve()
    (library,) = program.parents[1].glob("lib/*/faketime/libfaketime.so.1")
    (folder / "sleep").mkdir(exist_ok=True)
    (folder / "sleep" / "sitecustomize.py").write_text(SLEEP)
    return {
        "PYTHONPATH": os.pathsep.join([str(folder / "sleep"), clean_environment()["PYTHONPATH"]]),
        "LD_PRELOAD": str(library),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def stepping(file: pathlib.Path) -> dict[str, str]:
    """Return what lets a program have a wall clock that is wrong by what a file says, looked up every second."""
    step(file, "+0s")
    wrong = {name: value for name, value in faked(file.parent, "").items() if name != "FAKETIME"}
    return {**wrong, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1"}


def step(file: pathlib.Path, offset: str) -> None:
    """Set a clock."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset}\n")
    new.replace(file)


def assert_steady(folder: pathlib.Path, start: float, slack: float, *, most: float) -> None:
    """Assert that checks have been run neither too often since a moment, nor too seldom.

    Args:
        folder: Where they note their runs.
        start: The moment.
        slack: How late this machine is, in seconds.
        most: How many runs there may be of each.
    """
    end = time.monotonic()
    for label in LABELS:
        runs = [run for run in noted_runs(folder, label) if start <= run.started < end]
        print(f"{label}: {len(runs)} runs in {end - start:.2f} s, at most {most:.1f}, by {len({r.pid for r in runs})}")
        assert len(runs) <= most, f"{label}: {runs}"
        pauses = gaps([Noted(started=start, pid=0), *runs, Noted(started=end, pid=0)])
        assert max(pauses) < FROZEN_SECONDS + slack, f"{label}: {runs}"


def test_clock__that_steps_while_the_site_runs(tmp_path: pathlib.Path) -> None:
    """Steps by two minutes, forth and back, neither freeze checks nor multiply runs, and no answer gets wrong."""
    clock = tmp_path / "clock"
    with contextlib.ExitStack() as stack:
        checks = [f"tests.support.site.checks.{label}" for label in LABELS]
        site = Site(folder=tmp_path, checks=checks, max_age=MAX_AGE, health_check={"SCHEDULER": True})
        server = stack.enter_context(site_under_gunicorn(site, *ARGUMENTS, environment=stepping(clock)))
        observer = Observer(server, tmp_path, LABELS)
        stack.enter_context(observer.watching())
        observer.learn_what_is_normal()
        for offset in (WRONG_SECONDS, 0, -WRONG_SECONDS):
            start = time.monotonic()
            step(clock, f"{offset:+d}s")
            observer.await_all(functools.partial(shows, offset), what="all to show runs of that time")
            print(f"All show runs of the clock at {offset:+d} s after {time.monotonic() - start:.2f} s")
            settled = time.monotonic()  # before that, processes that see the step one by one disagree on what is old
            observer.period(1.5 * MAX_AGE)
            assert_steady(tmp_path, start, observer.lag.slack, most=math.inf)
            periods = (time.monotonic() - settled) / MAX_AGE
            # a result that was in hand as the clock stepped may be of no use
            assert_steady(tmp_path, settled, observer.lag.slack, most=1.5 * periods + 2)
            observer.assert_right(observer.since(start))
        observer.await_shared()
        observer.assert_one_truth(WINDOW_SECONDS / 2)
        observer.assert_all_counted(lost=None)
        observer.assert_log(warnings=0)


def shows(offset: float, seen: Seen) -> bool:
    """Tell whether a scrape shows runs at the times of a clock that is wrong by so many seconds."""
    return all(abs(ran_at - offset - time.time()) < WRONG_SECONDS / 2 for ran_at in seen.ran_at.values())
