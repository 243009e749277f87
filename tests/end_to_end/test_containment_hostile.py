"""Checks that do what no check should: each is told of as it deserves, and nothing else is harmed."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import pytest

from tests.support.client import eventually, get
from tests.support.containment import Scene, serving, site_with
from tests.support.repetitions import long
from tests.support.site.checks import noted_runs, release
from tests.support.site.hostile import LINES

pytestmark = pytest.mark.server

SERVERS = pytest.mark.parametrize("kind", ["gunicorn", long("uvicorn")])

UNKNOWN = "unknown error"

LACKING = "unavailable: this process has no memory left: it cannot judge, and its result is not shared"

SAID = {
    "tests.support.checks.Exiting": UNKNOWN,
    "tests.support.checks.AsyncExiting": UNKNOWN,
    "tests.support.checks.BaseBlown": UNKNOWN,
    "tests.support.site.hostile.Recursing": UNKNOWN,
    "tests.support.site.hostile.Exhausting": f"{UNKNOWN}\n{LACKING}",
    "tests.support.site.hostile.Mutating": "unavailable: mutated",
    "tests.support.site.hostile.LoggingMuch": "OK",
    "tests.support.site.hostile.StartingThreads": "OK",
}
"""Checks that end, and what is said of them."""

ONCE = {"tests.support.site.hostile.LoggingMuch", "tests.support.site.hostile.StartingThreads"}
"""Those that are run once: what they leave behind adds up."""

AGAIN = ["Recursing", "Exhausting", "Mutating"]
"""Those that note their runs, and are run again and again."""

LONGEST_BYTES = 100_000
"""How long a page or a log may become because of what one check says."""


@SERVERS
def test_hostile_checks__harm_nothing(tmp_path: pathlib.Path, kind: str) -> None:
    """The process lives on, each check is told of by its own name, and the others and all pages go on."""
    said = {path.rpartition(".")[2]: text for path, text in SAID.items()}
    checks = [[path, {"max_age": 600} if path in ONCE else {}] for path in SAID]
    with serving(kind, site_with(tmp_path, checks)) as scene:

        def have_run_again() -> bool:
            found = scene.health()
            assert {label: found[label] for label in said} == said
            assert scene.is_healthy_but_for(*said)
            return all(len(noted_runs(tmp_path, name)) >= 4 for name in AGAIN)

        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            eventually(have_run_again, what="four runs of each")
        print(f"under {kind}: {most[-1]} threads at most; slowest answers: {scene}")
        assert scene.server.output().count("\nline ") == LINES
        assert {run.pid for name in AGAIN for run in noted_runs(tmp_path, name)} == {scene.process.pid}
        scene.stop()


@SERVERS
def test_check__that_logs_without_end__is_just_stuck(tmp_path: pathlib.Path, kind: str) -> None:
    """A check that is busy with nothing but logging holds up no page, no check and no exit."""
    with serving(kind, site_with(tmp_path, ["tests.support.site.hostile.LoggingForever"])) as scene:
        with scene.asking_for_other_pages():
            eventually(lambda: scene.seconds_still_running(), what="the page to say: still running")
            eventually(
                lambda: scene.is_healthy_but_for("LoggingForever") and len(noted_runs(tmp_path, "SlowAsync")) >= 4,
                what="more runs of the others",
            )
        print(f"under {kind}: slowest answers: {scene}")
        assert len(noted_runs(tmp_path, "LoggingForever")) == 1
        scene.stop()


def test_check__that_returns_late__is_not_listened_to(tmp_path: pathlib.Path) -> None:
    """What comes after the deadline is dropped on all faces, and the next run counts."""
    with serving("gunicorn", site_with(tmp_path, ["tests.support.site.hostile.Late"])) as scene:
        eventually(lambda: scene.seconds_still_running(), what="the page to say: still running")
        release(tmp_path)
        texts: set[str] = set()

        def is_in_order() -> bool:
            text = get(f"{scene.server.url}/health/", format="json").json()["Late"]
            texts.add(text)
            return bool(text == "OK")

        eventually(is_in_order, what="the check to be in order")
        assert not [text for text in texts if "too late" in text]
        assert "too late" not in scene.server.output()
        assert outcomes(scene, "Late") == {"ok": 1.0, "warning": 0.0, "error": 0.0, "timeout": 1.0}


def outcomes(scene: Scene, name: str) -> Mapping[str, float]:
    """Return how many runs of a check had each outcome."""
    names = ("ok", "warning", "error", "timeout")
    return {outcome: scene.metric(f'runs_total{{check="{name}",outcome="{outcome}"}}')[0] for outcome in names}


@SERVERS
def test_check__that_says_too_much__is_cut_short(tmp_path: pathlib.Path, kind: str) -> None:
    """A message of ten megabytes holds up no page, and neither page nor log becomes as long."""
    with serving(kind, site_with(tmp_path, ["tests.support.site.hostile.Flooding"])) as scene:

        def has_run_again() -> bool:
            for query in ({"format": "json"}, {"format": "html"}, {"format": "text"}):
                assert len(scene.ask("/health/", status=500, seconds=1.5, **query).body) < LONGEST_BYTES
            assert scene.health()["Flooding"].startswith("unavailable: xxx")
            return len(noted_runs(tmp_path, "Flooding")) >= 4

        with scene.asking_for_other_pages():
            eventually(has_run_again, what="four runs")
        print(f"under {kind}: slowest answers: {scene}")
        assert len(scene.server.output()) < LONGEST_BYTES
        assert scene.metric("store_up") == [1.0]
