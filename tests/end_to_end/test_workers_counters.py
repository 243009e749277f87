"""Counters and histograms of several workers: whichever is scraped, and whatever becomes of it, they never go back."""

from __future__ import annotations

import collections
import itertools
import pathlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from health_check.conf import DEFAULT_DURATION_BUCKETS
from tests.end_to_end.test_workers import Sight, went_back
from tests.support.client import eventually, get
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

WORKERS = 2
CLIENTS = 3
PAUSE_SECONDS = 0.02
MAX_AGE = 0.2
RUNS = 3
"""How many runs there are between one disturbance and the next."""

NAMES = ["Counting", "Flip", "CountingAsync"]
HISTOGRAM = "django_health_check_duration_seconds"
SERIES = len(NAMES) * (4 + len(DEFAULT_DURATION_BUCKETS) + 1 + 1 + 1)
"""How many series only ever grow: outcomes, buckets, sum, and count."""


def sight(server: Server) -> Sight:
    """Scrape once."""
    asked = time.monotonic()
    answer = get(f"{server.url}/metrics")
    counters = {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(answer.body)
        if family.type in ("counter", "histogram") and family.name.startswith("django_health_check")
        for sample in family.samples
    }
    return Sight(
        face="metrics",
        worker=answer.headers[PROCESS_HEADER],
        asked=asked,
        answered=time.monotonic(),
        checks={},
        counters=counters,
    )


def watch(server: Server, done: threading.Event) -> list[Sight]:
    """Scrape again and again; a connection that dies with its worker does not count."""
    found = []
    while not done.wait(PAUSE_SECONDS):
        try:
            found.append(sight(server))
        except OSError:
            continue
    return found


def pids(server: Server) -> set[int]:
    """Return the workers of a gunicorn."""
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def disturb(server: Server, site: Site) -> None:
    """Kill a worker, then have all of them renewed; in between let there be some runs."""
    await_runs(site)
    victim = min(pids(server))
    psutil.Process(victim).kill()
    eventually(lambda: len(pids(server) - {victim}) == WORKERS, what="a new worker")
    await_runs(site)
    before = pids(server)
    psutil.Process(server.process.pid).send_signal(1)  # SIGHUP
    eventually(lambda: len(pids(server)) == WORKERS and not pids(server) & before, what="new workers")
    await_runs(site)


def await_runs(site: Site) -> None:
    """Wait until each check has run some more times."""
    before = {name: len(noted_runs(site.folder, name)) for name in NAMES}
    eventually(
        lambda: all(len(noted_runs(site.folder, name)) >= before[name] + RUNS for name in NAMES), what="some runs"
    )


def test_counters__never_go_back(tmp_path: pathlib.Path) -> None:
    """No counter, bucket, sum or count is ever less than one that was there before it was asked for, in any worker."""
    site = Site(folder=tmp_path, checks=[f"tests.support.site.checks.{name}" for name in NAMES], max_age=MAX_AGE)
    done = threading.Event()
    with (
        site_under_gunicorn(site, f"--workers={WORKERS}", "--threads=2") as server,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        try:
            clients = [pool.submit(watch, server, done) for _ in range(CLIENTS)]
            disturb(server, site)
        finally:
            done.set()
        sights = [one for client in clients for one in client.result()]
    complete = [one for one in sights if one.counters]
    assert len({one.worker for one in sights}) > WORKERS  # the former ones, and those that replaced them
    assert len(complete) >= 0.9 * len(sights)  # without the store there are none, rather than wrong ones
    assert {len(one.counters) for one in complete} == {SERIES}
    for name in complete[0].counters:
        assert went_back((one, one.counters[name]) for one in complete) == [], name
    assert_consistent(complete)


def assert_consistent(sights: list[Sight]) -> None:
    """Assert that each scrape has buckets that are cumulated, and as many runs in the histogram as by outcome."""
    for one in sights:
        runs: dict[str, float] = collections.defaultdict(float)
        buckets: dict[str, list[float]] = collections.defaultdict(list)
        counts = {}
        for key, value in one.counters.items():
            check = next(name for name in sorted(NAMES, key=len, reverse=True) if f"'{name}'" in key)
            if key.startswith("django_health_check_runs_total"):
                runs[check] += value
            elif key.startswith(f"{HISTOGRAM}_bucket"):
                buckets[check].append(value)
            elif key.startswith(f"{HISTOGRAM}_count"):
                counts[check] = value
        assert counts == dict(runs)
        assert {check: values[-1] for check, values in buckets.items()} == counts
        assert all(a <= b for values in buckets.values() for a, b in itertools.pairwise(values))
