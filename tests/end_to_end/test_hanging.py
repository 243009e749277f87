"""Checks that hang, in every way: each costs a thread or a task, and nothing else; never the page."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import time
from collections.abc import Iterable, Mapping

import pytest

from health_check_prometheus.scrape_timeout import TIMEOUT_HEADER
from tests.support.client import Lag, eventually, get, send
from tests.support.containment import HEALTHY, STILL_RUNNING, TIMEOUT, Scene, hanging, serving, site_with
from tests.support.repetitions import long
from tests.support.scraping import prometheus_programs, query, scrape, scraping
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs, release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

THREADS_OF = {"HangDeaf": 0, "HangAsync": 0, "HangInExecutor": 2, "HangInCoroutine": 2}
"""How many threads a check costs by the way in which it hangs, if not one."""

SPARE_THREADS = 10
"""How many threads a process has beyond its server's and those of the checks: the timers', the store's, the event
loop's, those that tell of deadlines, and what the server starts meanwhile."""

BEFORE = (f"unavailable: timed out after {TIMEOUT:g} s", "unavailable: waiting for a free thread", "OK")
"""How that begins which is said of a check that hangs before it is said that it is still running."""

ONCE = 600.0
"""A ``max_age`` by which nothing is run a second time."""

ANYHOW = {"HangOffLoop": 1, "HangInExecutor": 1, "HangInCoroutine": 1}

CASES: list[tuple[str, Mapping[str, int], int]] = [
    ("gthread", {"Hang": 10, "HangDeaf": 100, "HangAsync": 10, **ANYHOW}, 4),
    ("uvicorn", {"Hang": 100, "HangDeaf": 10, "HangAsync": 100, **ANYHOW}, 32),
    ("gthread", {"HangOnLoop": 3, "HangLogging": 1}, 32),
    ("gevent", {"Hang": 1, "HangOnLoop": 1, **ANYHOW}, 32),
]
"""Kinds of servers, how many checks hang in which way, and ``MAX_CONCURRENCY``."""

SELDOM = [
    ("gthread", {"Hang": 100, "HangAsync": 100, **ANYHOW}, 32),
    ("uvicorn", {"HangOnLoop": 1, "HangLogging": 1}, 32),
]


@pytest.mark.parametrize(("kind", "numbers", "concurrency"), [*CASES, *(long(*case) for case in SELDOM)])
def test_checks_that_hang__cost_nothing_else(
    tmp_path: pathlib.Path, kind: str, numbers: Mapping[str, int], concurrency: int
) -> None:
    """All answers come in time, nothing starts twice, all else goes on, also when they return; the exit is quick."""
    checks = [
        entry
        for name, number in numbers.items()
        for entry in hanging(name, number, **({"max_age": ONCE} if name == "HangAsync" else {}))
    ]
    stuck = {name: number for name, number in numbers.items() if name != "HangAsync"}
    with serving(kind, site_with(tmp_path, checks, MAX_CONCURRENCY=concurrency)) as scene:
        assert set(scene.ask("/others/", status=200, seconds=10, format="json").json()) == set(HEALTHY)
        before, start = scene.process.num_threads(), time.monotonic()
        held = sum(number * THREADS_OF.get(name, 1) for name, number in numbers.items())
        with scene.asking_for_other_pages(), scene.counting_threads() as most:
            await_hung(scene, stuck, numbers)
            await_more_runs(scene)
            seconds = scene.seconds_still_running()
        print(
            f"{numbers} under {kind}: {before} threads before, {most[-1]} at most, "
            f"{scene.process.num_threads()} in the end; slowest answers: {scene}"
        )
        assert len(seconds) == sum(stuck.values())
        assert max(seconds) <= time.monotonic() - start + 1
        assert runs_of(scene, numbers) == numbers
        assert most[-1] <= before + held + concurrency + SPARE_THREADS
        assert scene.process.num_threads() <= before + held + SPARE_THREADS
        assert sum(scene.metric('in_progress{check="Hang')) == sum(stuck.values())
        assert_timed_out(scene, numbers)

        release(tmp_path)
        eventually(lambda: is_well(scene, stuck), what="all that hung to be in order")
        (tmp_path / "released").unlink()
        eventually(lambda: not is_well(scene, stuck), what="that they hang again")
        await_hung(scene, stuck, numbers)
        print(f"exit after {scene.stop():.2f} s")
        assert "Traceback" not in scene.server.output()


def await_hung(scene: Scene, stuck: Mapping[str, int], numbers: Mapping[str, int]) -> None:
    """Wait until all that can be ended is, and the page says of all else that hangs that it is still running."""

    def all_hang() -> bool:
        said = [text for label, text in scene.health().items() if label.startswith("Hang")]
        assert [text for text in said if not (STILL_RUNNING.fullmatch(text) or text.startswith(BEFORE))] == []
        return len(scene.seconds_still_running()) == sum(stuck.values())

    eventually(all_hang, what="the page to say: still running")
    ended = numbers.get("HangAsync", 0)
    eventually(lambda: len(noted_runs(scene.site.folder, "HangAsync-ended")) == ended, what="the `finally` of all")


def await_more_runs(scene: Scene) -> None:
    """Wait until the other checks have been run twice more, and are in order."""
    runs = runs_of(scene, HEALTHY)

    def have_run() -> bool:
        said = scene.health()
        assert {name: said[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, "OK")
        return all(count >= runs[name] + 2 for name, count in runs_of(scene, HEALTHY).items())

    eventually(have_run, what="two more runs of the other checks")


def runs_of(scene: Scene, names: Iterable[str]) -> dict[str, int]:
    """Return how many runs there were of the checks of each class."""
    return {name: len(noted_runs(scene.site.folder, name)) for name in names}


def is_well(scene: Scene, names: Iterable[str]) -> bool:
    """Tell whether all checks of these classes are in order."""
    said: dict[str, str] = get(f"{scene.server.url}/health/", format="json").json()
    return {text for label, text in said.items() if label.partition("-")[0] in names} == {"OK"}


def assert_timed_out(scene: Scene, numbers: Mapping[str, int]) -> None:
    """Assert that each run is counted once: as one that took too long."""
    assert sum(scene.metric('runs_total{check="Hang')) == sum(numbers.values())
    for name in numbers:
        assert scene.metric(f'runs_total{{check="{name}-0",outcome="timeout"}}') == [1.0]


def test_hanging_check__costs_no_scrape_at_its_deadline(tmp_path: pathlib.Path) -> None:
    """A scrape gets all series even while the outcome is just being noted, which a slow exporter of spans prolongs."""
    site = Site(folder=tmp_path, checks=hanging("Hang", 1, timeout=1), spans=True, export_seconds=0.3)
    with site_under_gunicorn(site) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(get, f"{server.url}/health/", format="json")
        while not first.done():
            page = send("GET", f"{server.url}/metrics", headers={TIMEOUT_HEADER: "0.1"}).body
            assert 'django_health_check_status{check="Hang-0"} 0.0' in page
            assert "django_health_check_store_up 1.0" in page
        assert first.result().json()["Hang-0"].startswith("unavailable: ")


SCRAPE_WAIT = 2.0
"""How long a scrape waits for a check, unless it announces that it waits less."""

ANNOUNCED: list[tuple[dict[str, str], float]] = [
    ({}, SCRAPE_WAIT),
    ({TIMEOUT_HEADER: "0.5"}, 0.5),
    ({TIMEOUT_HEADER: "30"}, SCRAPE_WAIT),
]
"""What a scrape may announce, and when it is to be answered."""


def test_hanging_check__costs_no_scrape(tmp_path: pathlib.Path) -> None:
    """The page is there in the time of the scrape, or ``SCRAPE_WAIT``; Prometheus learns what hangs, and its end."""
    checks = ["tests.support.site.checks.Hang", "tests.support.site.checks.Counting"]
    site = Site(folder=tmp_path / "site", checks=checks, max_age=0.5, health_check={"TIMEOUT": 100})
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=4"))
        for headers, seconds in ANNOUNCED:
            lag = Lag()
            with lag.measured():
                answer = send("GET", f"{server.url}/metrics", headers=headers)
            assert answer.status == 200
            assert answer.seconds < seconds + lag.slack
            assert 'django_health_check_state{check="Hang",state="unknown"} 1.0' in answer.body
            assert 'django_health_check_state{check="Counting",state="ok"} 1.0' in answer.body
            assert 'django_health_check_in_progress{check="Hang"} 1.0' in answer.body
        scrapers = []
        for number, program in enumerate(prometheus_programs()):
            folder = tmp_path / f"scraper-{number}"
            jobs = [{"job_name": "site", "metrics_path": "/metrics"}]
            scrapers.append(stack.enter_context(scraping(program, folder, jobs, seconds=1.0)))
            scrape(folder, server)
        for scraper in scrapers:
            await_state(scraper, "Hang", "unknown")
            await_state(scraper, "Counting", "ok")
            assert [value for _, value in query(scraper, "max_over_time(up[1m])")] == [1]
        release(site.folder)
        for scraper in scrapers:
            await_state(scraper, "Hang", "ok")


def await_state(scraper: Server, check: str, state: str) -> None:
    """Wait until Prometheus says that a check is in a state."""
    expression = f'django_health_check_state{{check="{check}",state="{state}"}} == 1'
    eventually(lambda: list(query(scraper, expression)), what=expression)
