"""One truth for all workers: whichever process answers, on whatever face, it shows the same runs."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import itertools
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import get
from tests.support.faces import moment
from tests.support.repetitions import long, times
from tests.support.servers import Server, manage, site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

MAX_AGE = 1.0
REQUESTS = times(200, least=80)
RUNS = 3
"""How many runs the requests are spread over at least."""
COMMANDS = 2
CLIENTS = 4

NAMES = ["Flip", "Numbered", "Counting", "CountingAsync"]

SERVERS: dict[str, tuple[str, ...]] = {
    "3 sync workers": ("--workers=3", "--threads=1"),
    "2 workers with 4 threads": ("--workers=2", "--threads=4"),
    "3 forked from a loaded application": ("--workers=3", "--threads=1", "--preload"),
    "3 gevent workers": ("--workers=3", "--threads=1", "--worker-class=gevent"),
    "3 uvicorn workers": ("--workers=3", "--threads=1", "--worker-class=uvicorn_worker.UvicornWorker"),
}
"""How gunicorn is started."""

SELDOM = ("3 sync workers", "2 workers with 4 threads", "3 uvicorn workers")
"""Of these only under ``make test-long``: other tests have them, too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """What an answer shows of a check."""

    run: str | None = None
    """When its last run ended, as health+json has it; None where the face does not tell."""
    good: bool
    """Whether the check was in order."""
    text: str | None = None
    """What is wrong, or "OK"; None where the face does not tell."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sight:
    """An answer of one of the faces."""

    face: str
    """Which one."""
    worker: str
    """The process that gave it."""
    asked: float
    """When the request was sent, on the monotonic clock."""
    answered: float
    """When the answer was there."""
    checks: Mapping[str, Shown]
    """What it shows, by label."""
    counters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The counters it shows, by name and labels."""


Reader = Callable[[Server, Site], Sight]


def sight_of_json(server: Server, site: Site) -> Sight:
    """Ask for JSON."""
    asked = time.monotonic()
    answer = get(f"{server.url}/health/", format="json")
    assert answer.status == 200, answer.body
    checks = {label: Shown(good=text == "OK", text=text) for label, text in answer.json().items()}
    return _sight("json", answer.headers[PROCESS_HEADER], asked, checks)


def sight_of_health_json(server: Server, site: Site) -> Sight:
    """Ask for health+json."""
    asked = time.monotonic()
    answer = get(f"{server.url}/health/", format="health+json")
    assert answer.status == 200, answer.body
    checks = {
        label: Shown(run=check["time"], good=check["state"] == "ok", text=check.get("output", "OK"))
        for label, (check,) in answer.json()["checks"].items()
    }
    return _sight("health+json", answer.headers[PROCESS_HEADER], asked, checks)


def sight_of_metrics(server: Server, site: Site) -> Sight:
    """Scrape."""
    asked = time.monotonic()
    answer = get(f"{server.url}/metrics")
    samples: dict[str, dict[str, float]] = collections.defaultdict(dict)
    counters = {}
    for name, label, more, value in re.findall(
        r'(?m)^django_health_check_(\w+){check="(\w+)"(.*)} (\S+)$', answer.body
    ):
        if name == "runs_total":
            counters[f"{label}{more}"] = float(value)
        elif not more:
            samples[label][name] = float(value)
    assert "django_health_check_store_up 1.0" in answer.body
    checks = {
        label: Shown(run=moment(values["last_run_timestamp_seconds"]), good=values["status"] == 1.0)
        for label, values in samples.items()
    }
    return _sight("metrics", answer.headers[PROCESS_HEADER], asked, checks, counters)


def sight_of_command(server: Server, site: Site) -> Sight:
    """Run the command, which asks no server but is one more process of the site."""
    asked = time.monotonic()
    done = manage(site, "health_check", "-v", "2")
    assert done.returncode == 0, done.stderr
    assert f"Records: {site.folder / 'tmp'}/" in done.stderr
    assert "cannot be used" not in done.stderr
    lines = (line.split(" ... ", 1) for line in done.stdout.splitlines())
    return _sight("command", "", asked, {label.rstrip(): Shown(good=text == "OK", text=text) for label, text in lines})


def _sight(
    face: str, worker: str, asked: float, checks: Mapping[str, Shown], counters: Mapping[str, float] | None = None
) -> Sight:
    assert set(checks) == set(NAMES), f"{face} shows {list(checks)}"
    return Sight(
        face=face, worker=worker, asked=asked, answered=time.monotonic(), checks=checks, counters=counters or {}
    )


FACES: list[Reader] = [sight_of_json, sight_of_metrics, sight_of_health_json]


@pytest.mark.parametrize("server_name", [long(name) if name in SELDOM else name for name in SERVERS])
def test_workers__agree_whatever_they_are(tmp_path: pathlib.Path, server_name: str) -> None:
    """All answers of several workers show one sequence of runs, each of which took place once for all."""
    site = Site(folder=tmp_path, checks=[f"tests.support.site.checks.{name}" for name in NAMES], max_age=MAX_AGE)
    arguments = SERVERS[server_name]
    asgi = "uvicorn" in server_name
    with site_under_gunicorn(
        site, *arguments, application=f"tests.support.plain.{'asgi:application' if asgi else 'wsgi'}"
    ) as server:
        sights = seen_by_clients(server, site)
        ended = time.monotonic()

    assert len({sight.worker for sight in sights if sight.worker}) > 1
    for name in NAMES:
        runs = noted_runs(tmp_path, name)
        assert len(runs) <= (ended - runs[0].started) / MAX_AGE + 1, f"{name} was run too often"
        assert min(gaps(runs)) >= MAX_AGE, f"{name} was run again too soon"
        assert contradictions(name, sights) == []
        assert setbacks(name, sights) == []
        assert wrong_counts(name, sights, len(runs)) == []
    assert doubtful("Flip", sights) == []
    assert counters_that_went_back(sights) == []
    assert {shown.good for sight in sights for label, shown in sight.checks.items() if label == "Flip"} == {True, False}


def seen_by_clients(server: Server, site: Site) -> list[Sight]:
    """Return what several clients see at the same time, each on one face after the other, and the command."""
    numbers = itertools.count()
    workers: set[str] = set()
    together = threading.Barrier(CLIENTS)
    give_up = time.monotonic() + 60

    def enough() -> bool:
        served = next(numbers) >= REQUESTS and len(workers) > 1
        return time.monotonic() > give_up or (served and len(noted_runs(site.folder, "Flip")) >= RUNS)

    def client(offset: int) -> list[Sight]:
        together.wait()
        sights = []
        for read in itertools.islice(itertools.cycle(FACES), offset, None):
            sights.append(read(server, site))
            workers.add(sights[-1].worker)
            if enough():
                return sights
        raise AssertionError("faces never end")

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        commands = pool.submit(lambda: [sight_of_command(server, site) for _ in range(COMMANDS)])
        return [sight for future in (*clients, commands) for sight in future.result()]


def contradictions(name: str, sights: Iterable[Sight]) -> list[str]:
    """Return a line for each run of a check of which answers say different things."""
    found: dict[str, dict[Shown, set[str]]] = collections.defaultdict(lambda: collections.defaultdict(set))
    for sight in sights:
        shown = sight.checks[name]
        if shown.run is not None:
            found[shown.run][shown].add(f"{sight.face} of {sight.worker}")
    return [
        f"{run}: {dict(said)}"
        for run, said in found.items()
        if len({shown.good for shown in said}) > 1 or len({shown.text for shown in said} - {None}) > 1
    ]


def setbacks(name: str, sights: list[Sight]) -> list[str]:
    """Return a line for each answer that shows an older run than one that was there before it was asked for."""
    timed = [(sight, run) for sight in sights if (run := run_shown(name, sight, sights)) is not None]
    return went_back((sight, datetime.datetime.fromisoformat(run).timestamp()) for sight, run in timed)


def run_shown(name: str, sight: Sight, sights: Iterable[Sight]) -> str | None:
    """Return which run an answer shows; None if it does not tell, as where all that it says is "OK"."""
    shown = sight.checks[name]
    if shown.run is not None or shown.text == "OK":
        return shown.run
    return next((other.checks[name].run for other in sights if other.checks[name].text == shown.text), None)


def doubtful(name: str, sights: list[Sight]) -> list[str]:
    """Return a line for each answer without times that shows what the run of that moment did not find.

    It counts where the answers before and after it show the same run.
    """
    timed = [(sight, sight.checks[name].run or "") for sight in sights if sight.checks[name].run]
    good = {run: sight.checks[name].good for sight, run in timed}
    found = []
    for sight in sights:
        before = max((run for other, run in timed if other.answered <= sight.asked), default=None)
        after = min((run for other, run in timed if other.asked >= sight.answered), default="")
        if before == after and sight.checks[name].good != good[after]:
            found.append(f"{sight.face} of {sight.worker} shows {sight.checks[name]} during the run of {before}")
    return found


def wrong_counts(name: str, sights: list[Sight], runs: int) -> list[str]:
    """Return a line for each scrape that counts more runs of a check than there were, or fewer than it shows."""
    numbers = {shown.run: shown.text for sight in sights if (shown := sight.checks["Numbered"]).text and shown.run}
    found = []
    for sight in sights:
        if not sight.counters:
            continue
        count = sum(value for counter, value in sight.counters.items() if counter.startswith(f"{name},"))
        said = numbers.get(sight.checks[name].run or "") if name == "Numbered" else None
        least = int(said.rpartition(" ")[2]) if said else 1
        if not least <= count <= runs:
            found.append(f"{sight.worker} counts {count:g} runs, of {least} to {runs}")
    return found


def counters_that_went_back(sights: Iterable[Sight]) -> list[str]:
    """Return a line for each counter that some scrape shows less of than one that was there before it was asked for."""
    scrapes = [sight for sight in sights if sight.face == "metrics"]
    names = set.union(*(set(sight.counters) for sight in scrapes))
    assert len(names) == len(NAMES) * 4  # outcomes
    assert all(set(sight.counters) == names for sight in scrapes), "counters are missing from some scrape"
    return [
        f"{name}: {line}" for name in names for line in went_back((sight, sight.counters[name]) for sight in scrapes)
    ]


def went_back(values: Iterable[tuple[Sight, float]]) -> list[str]:
    """Return a line for each value that is less than another one that was there before it was asked for."""
    by_question = sorted(values, key=lambda pair: pair[0].asked)
    by_answer = collections.deque(sorted(by_question, key=lambda pair: pair[0].answered))
    found, greatest = [], by_answer[0]
    for sight, value in by_question:
        while by_answer[0][0].answered <= sight.asked:
            greatest = max(greatest, by_answer.popleft(), key=lambda pair: pair[1])
        earlier, most = greatest
        if earlier.answered <= sight.asked and value < most:
            found.append(
                f"{earlier.face} of {earlier.worker} showed {most}, "
                f"{sight.face} of {sight.worker} {value} {sight.asked - earlier.answered:.3f} s later"
            )
    return found
