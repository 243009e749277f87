"""One truth for all workers: whichever process answers, on whatever face, whatever becomes of it, shows the same."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from health_check.conf import DEFAULT_DURATION_BUCKETS
from tests.support.client import eventually, get
from tests.support.faces import moment
from tests.support.readiness import kill_worker, renew_workers, workers_of
from tests.support.repetitions import long
from tests.support.servers import Server, manage, site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

MAX_AGE = 0.6
CLIENTS = 3
PAUSE_SECONDS = 0.05
RUNS = 3
"""How many runs there are between one disturbance and the next."""

NAMES = ["Flip", "Numbered", "Counting", "CountingAsync"]

SERIES = len(NAMES) * (4 + len(DEFAULT_DURATION_BUCKETS) + 1 + 1 + 1)
"""How many series only ever grow: outcomes, buckets, sum, and count."""

ASGI = "tests.support.plain.asgi:application"
WSGI = "tests.support.plain.wsgi"

SERVERS: dict[str, tuple[tuple[str, ...], str]] = {
    "3 sync workers": (("--workers=3", "--threads=1"), WSGI),
    "2 workers with 4 threads": (("--workers=2", "--threads=4"), WSGI),
    "3 forked from a loaded application": (("--workers=3", "--threads=1", "--preload"), WSGI),
    "2 gevent workers": (("--workers=2", "--worker-class=gevent"), WSGI),
    "3 uvicorn workers": (("--workers=3", "--worker-class=uvicorn_worker.UvicornWorker"), ASGI),
}
"""How gunicorn is started."""

OFTEN = ("2 workers with 4 threads", "2 gevent workers")
"""Of these not only under ``make test-long``: other tests have the others, too."""


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
    runs: Mapping[str, str]
    """When the last run of each check ended, as health+json has it."""
    good: Mapping[str, bool]
    """Whether each check was ok."""
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What health+json says of each check."""
    counters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The counters that metrics show, by name and labels."""


def sight_of_health_json(server: Server) -> Sight:
    """Ask for health+json."""
    asked = time.monotonic()
    answer = get(f"{server.url}/health/", format="health+json")
    answered = time.monotonic()
    checks = {label: check for label, (check,) in answer.json()["checks"].items()}
    assert (answer.status, sorted(checks)) == (200, sorted(NAMES))
    return Sight(
        face="health+json",
        worker=answer.headers[PROCESS_HEADER],
        asked=asked,
        answered=answered,
        runs={label: check["time"] for label, check in checks.items()},
        good={label: check["state"] == "ok" for label, check in checks.items()},
        texts={label: check.get("output", "OK") for label, check in checks.items()},
    )


def sight_of_metrics(server: Server) -> Sight:
    """Scrape."""
    asked = time.monotonic()
    answer = get(f"{server.url}/metrics", scope="health")
    answered = time.monotonic()
    families = {family.name: family for family in text_string_to_metric_families(answer.body)}
    counters = {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in families.values()
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }

    def values(name: str) -> dict[str, float]:
        return {sample.labels["check"]: sample.value for sample in families[f"django_health_check_{name}"].samples}

    return Sight(
        face="metrics",
        worker=answer.headers[PROCESS_HEADER],
        asked=asked,
        answered=answered,
        runs={label: moment(value) for label, value in values("last_run_timestamp_seconds").items()},
        good={label: value == 1.0 for label, value in values("status").items()},
        counters=counters,
    )


def watch(server: Server, done: threading.Event, reader: Callable[[Server], Sight]) -> list[Sight]:
    """Ask again and again; a connection that dies with its worker does not count."""
    found = []
    while not done.wait(PAUSE_SECONDS):
        try:
            found.append(reader(server))
        except OSError:
            continue
    return found


def await_runs(site: Site) -> None:
    """Wait until each check has run some more times."""
    before = {name: len(noted_runs(site.folder, name)) for name in NAMES}
    eventually(
        lambda: all(len(noted_runs(site.folder, name)) >= before[name] + RUNS for name in NAMES), what="some runs"
    )


@pytest.mark.parametrize("name", [name if name in OFTEN else long(name) for name in SERVERS])
def test_workers__agree_whatever_becomes_of_them(tmp_path: pathlib.Path, name: str) -> None:
    """All answers show one sequence of runs, each of which took place once for all, and counters that never go back."""
    arguments, application = SERVERS[name]
    site = Site(folder=tmp_path, checks=[f"tests.support.site.checks.{name}" for name in NAMES], max_age=MAX_AGE)
    done = threading.Event()
    with (
        site_under_gunicorn(site, *arguments, application=application) as server,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        readers = [sight_of_metrics, sight_of_health_json, sight_of_metrics]
        workers = len(workers_of(server))
        try:
            clients = [pool.submit(watch, server, done, reader) for reader in readers]
            the_command_agrees(server, site)
            await_runs(site)
            kill_worker(server)
            await_runs(site)
            renew_workers(server)
            await_runs(site)
        finally:
            done.set()
        sights = [one for client in clients for one in client.result()]
    assert len({sight.worker for sight in sights}) > workers  # the former ones, and those that replaced them
    for label in NAMES:
        assert contradictions(label, sights) == []
        runs = noted_runs(tmp_path, label)
        took_place = [gap for gap in gaps(runs) if gap < MAX_AGE]
        assert len(took_place) <= 1 + workers, (
            f"{label} was run again too soon: only for workers that are new, or killed"
        )
        assert went_back((sight, sight.runs[label]) for sight in sights) == []
    assert {sight.good["Flip"] for sight in sights} == {True, False}
    counters_are_right([sight for sight in sights if sight.face == "metrics"])


def the_command_agrees(server: Server, site: Site) -> None:
    """Assert that the command, one more process of the site, shows a run that is none of its own."""
    before = number_of(sight_of_health_json(server).texts["Numbered"])
    done = manage(site, "health_check", "-v", "2")
    after = number_of(sight_of_health_json(server).texts["Numbered"])
    assert f"Records: {site.folder / 'tmp'}/" in done.stderr
    assert "cannot be used" not in done.stderr
    said = dict(re.findall(r"(?m)^(\w+) +\.\.\. (.*)$", done.stdout))
    assert said.keys() == set(NAMES)
    assert before <= number_of(said["Numbered"]) <= after


def number_of(text: str) -> int:
    """Return which run the check says it was."""
    return int(text.removeprefix("warning: run "))


def contradictions(label: str, sights: Iterable[Sight]) -> list[str]:
    """Return a line for each run of a check of which answers say different things."""
    good: dict[str, set[bool]] = collections.defaultdict(set)
    texts: dict[str, set[str]] = collections.defaultdict(set)
    for sight in sights:
        good[sight.runs[label]].add(sight.good[label])
        if sight.texts:
            texts[sight.runs[label]].add(sight.texts[label])
    return [f"{run}: {good[run]}, {texts[run]}" for run in good if len(good[run]) > 1 or len(texts[run]) > 1]


def counters_are_right(scrapes: list[Sight]) -> None:
    """Assert that no counter, bucket, sum or count is ever less than one that was there before it was asked for."""
    complete = [one for one in scrapes if one.counters]
    assert len(complete) >= 0.9 * len(scrapes)  # without the store there are none, rather than wrong ones
    assert {len(one.counters) for one in complete} == {SERIES}
    for name in complete[0].counters:
        assert went_back((one, one.counters[name]) for one in complete) == [], name
    for one in complete:
        runs: dict[str, float] = collections.defaultdict(float)
        buckets: dict[str, list[float]] = collections.defaultdict(list)
        counts = {}
        for key, value in one.counters.items():
            check = next(name for name in NAMES if f"'{name}'" in key)
            if key.startswith("django_health_check_runs_total"):
                runs[check] += value
            elif key.startswith("django_health_check_duration_seconds_bucket"):
                buckets[check].append(value)
            elif key.startswith("django_health_check_duration_seconds_count"):
                counts[check] = value
        assert counts == dict(runs)
        assert {check: values[-1] for check, values in buckets.items()} == counts
        assert all(a <= b for values in buckets.values() for a, b in itertools.pairwise(values))


Value = TypeVar("Value", float, str)


def went_back(values: Iterable[tuple[Sight, Value]]) -> list[str]:
    """Return a line for each value that is less than another one that was there before it was asked for."""
    answered = sorted(values, key=lambda pair: pair[0].answered)
    moments = [sight.answered for sight, _ in answered]
    greatest = list(itertools.accumulate((value for _, value in answered), max))
    found = []
    for sight, value in answered:
        before = bisect.bisect_right(moments, sight.asked)
        if before and value < greatest[before - 1]:
            found.append(f"{value} on {sight.face} of {sight.worker}, after {greatest[before - 1]}")
    return found
