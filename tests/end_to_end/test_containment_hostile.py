"""Checks that do what no check should: each is told of as it deserves, and nothing else is harmed."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import eventually, get
from tests.support.containment import serving, site_with
from tests.support.repetitions import long
from tests.support.site.checks import noted_runs, release
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
        counted = {name: scene.metric(f'runs_total{{check="Late",outcome="{name}"}}') for name in OUTCOMES}
        assert counted == {"ok": [1.0], "warning": [0.0], "error": [0.0], "timeout": [1.0]}


OUTCOMES = ("ok", "warning", "error", "timeout")
