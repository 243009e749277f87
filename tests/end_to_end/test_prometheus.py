"""A real Prometheus scrapes a site of several workers, in both formats, while workers die and the site is restarted."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import time
from collections.abc import Iterator, Mapping

import pytest

from health_check.conf import DEFAULT_DURATION_BUCKETS
from tests.support.client import eventually
from tests.support.readiness import kill_worker, renew_workers
from tests.support.scraping import ask, prometheus_programs, query, scrape, scraping
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site import tracing
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

LABELS = ("Counting", "Flip", "Slow")
JOBS = {"openmetrics": "/metrics", "text": "/text-metrics"}
"""Where each job scrapes."""

SECONDS = 0.5
"""How often Prometheus scrapes."""

WORKERS = 2
LOST_PER_KILL = 1
"""How many runs of each check may be lost with a worker that is killed, or be counted twice."""

HISTOGRAM = "django_health_check_duration_seconds"
BOUNDS = len(DEFAULT_DURATION_BUCKETS) + 1
COUNTERS = {
    "django_health_check_runs_total": 4,
    f"{HISTOGRAM}_bucket": BOUNDS,
    f"{HISTOGRAM}_count": 1,
    f"{HISTOGRAM}_sum": 1,
}
"""What only ever grows, and how many series of it a check has."""
SLOW_SECONDS = 0.5
"""How long a run of the check Slow takes at least."""

MEDIAN = f"histogram_quantile(0.5, sum by (job, check, le) (rate({HISTOGRAM}_bucket[1m])))"


@dataclasses.dataclass(kw_only=True)
class Setting:
    """A site, and those that scrape it."""

    site: Site
    """The site."""
    scrapers: dict[pathlib.Path, Server]
    """Each Prometheus, by its folder."""

    @contextlib.contextmanager
    def served(self) -> Iterator[Server]:
        """Serve the site, and have everybody scrape it."""
        with site_under_gunicorn(self.site, f"--workers={WORKERS}", "--threads=2") as server:
            for folder in self.scrapers:
                scrape(folder, server)
            yield server

    def await_progress(self) -> None:
        """Wait until every Prometheus has scraped more runs of each check than there are now, by both jobs."""
        before = {label: len(noted_runs(self.site.folder, label)) for label in LABELS}
        for scraper in self.scrapers.values():
            for label, runs in before.items():
                counted = f'{HISTOGRAM}_count{{check="{label}"}} > {runs}'
                eventually(lambda: len(list(query(scraper, counted))) == len(JOBS), what=counted)  # noqa: B023


@pytest.fixture
def setting(tmp_path: pathlib.Path) -> Iterator[Setting]:
    """A site, not yet served, and every Prometheus that there is."""
    site = Site(
        folder=tmp_path / "site",
        checks=[f"tests.support.site.checks.{label}" for label in LABELS],
        max_age=0.4,
        settings={"ROOT_URLCONF": "tests.support.site.scraped_urls"},
    )
    jobs = [{"job_name": name, "metrics_path": path} for name, path in JOBS.items()]
    with contextlib.ExitStack() as stack:
        folders = {tmp_path / f"scraper-{number}": program for number, program in enumerate(prometheus_programs())}
        yield Setting(
            site=site,
            scrapers={
                folder: stack.enter_context(scraping(program, folder, jobs, seconds=SECONDS))
                for folder, program in folders.items()
            },
        )


def test_scrapes__over_restarts(setting: Setting) -> None:
    """Over killed, renewed and restarted workers both formats tell the same, counters never fall, and nothing is lost.

    Exemplars lead to spans that there are, and quantiles are those of the check.
    """
    with setting.served() as server:
        setting.await_progress()
        kill_worker(server)
        setting.await_progress()
        renew_workers(server)
        setting.await_progress()
    with setting.served():
        setting.await_progress()
        for scraper in setting.scrapers.values():
            assert_no_resets(scraper)
            assert_both_formats(scraper)
            assert_quantiles(scraper)
            assert_described(scraper)
            assert_all_counted(scraper, setting.site.folder)
            assert_exemplars(scraper, setting.site.folder)


def assert_no_resets(scraper: Server) -> None:
    """Assert that no counter has ever gone back, of all that there are."""
    for name, per_check in COUNTERS.items():
        found = list(query(scraper, f"resets({name}[10m])"))
        assert len(found) == len(JOBS) * len(LABELS) * per_check
        assert [labels for labels, value in found if value] == []
        assert list(query(scraper, f"increase({name}[10m]) > 0"))


def assert_both_formats(scraper: Server) -> None:
    """Assert that both jobs have the same series, and that the targets of both are up."""
    found = {job: series(scraper, job) for job in JOBS}
    assert found["text"] == found["openmetrics"]
    eventually(lambda: [value for _, value in query(scraper, "up")] == [1, 1], what="both targets to be up")


def series(scraper: Server, job: str) -> set[frozenset[tuple[str, str]]]:
    """Return the label sets of our series that a job has scraped."""
    found = query(scraper, f'{{__name__=~"django_health_check_.*",job="{job}"}}')
    return {frozenset((name, value) for name, value in labels.items() if name != "job") for labels, _ in found}


def assert_quantiles(scraper: Server) -> None:
    """Assert that the median of a check that takes half a second is above that, and that of others is not."""

    def medians() -> Mapping[tuple[str, str], float]:
        return {(labels["job"], labels["check"]): value for labels, value in query(scraper, MEDIAN)}

    found = eventually(
        lambda: values if len(values := medians()) == len(JOBS) * len(LABELS) else None, what="all medians"
    )
    for job in JOBS:
        assert found[job, "Slow"] >= SLOW_SECONDS
        assert 0 < found[job, "Counting"] < found[job, "Slow"]


def assert_described(scraper: Server) -> None:
    """Assert that Prometheus knows what the metrics are."""
    found = ask(scraper, "metadata")
    assert {entry["type"] for entry in found[HISTOGRAM]} == {"histogram"}
    assert "seconds" in {entry["unit"] for entry in found[HISTOGRAM]}
    assert all(entry["help"].endswith(".") for entry in found["django_health_check_status"])


def assert_all_counted(scraper: Server, folder: pathlib.Path) -> None:
    """Assert that as many runs are counted as there were, but for those that died with a worker."""
    for label in LABELS:
        counted = f'sum by (job) (django_health_check_runs_total{{check="{label}"}})'
        noted = len(noted_runs(folder, label))
        values = [value for _, value in query(scraper, counted)]
        assert len(values) == len(JOBS)
        # Scraped up to two intervals ago, at about two runs a second, and one may be under way.
        assert all(noted - LOST_PER_KILL - 4 - late_runs(folder, label) <= value <= noted + 1 for value in values), (
            f"{label}: {noted} runs, {values} counted"
        )


def late_runs(folder: pathlib.Path, label: str) -> int:
    """Return how many runs there were in the last seconds, which Prometheus need not have scraped on a busy machine."""
    now = time.monotonic()
    return sum(run.started > now - 6 * SECONDS for run in noted_runs(folder, label))


def assert_exemplars(scraper: Server, folder: pathlib.Path) -> None:
    """Assert that exemplars are there in OpenMetrics, of real runs and their spans."""
    now = time.time()
    names = {(span.trace_id, span.span_id): span.name for span in tracing.written(folder)}
    found = ask(
        scraper, "query_exemplars", query=f"{HISTOGRAM}_bucket", start=f"{now - 600:.0f}", end=f"{now + 60:.0f}"
    )
    assert {entry["seriesLabels"]["job"] for entry in found} == {"openmetrics"}
    assert {entry["seriesLabels"]["check"] for entry in found} == set(LABELS)
    for entry in found:
        check, bound = entry["seriesLabels"]["check"], float(entry["seriesLabels"]["le"])
        for exemplar in entry["exemplars"]:
            labels = exemplar["labels"]
            assert names[labels["trace_id"], labels["span_id"]] == f"health_check.check {check}"
            assert 0 < float(exemplar["value"]) <= bound
            assert now - 600 < exemplar["timestamp"] <= now + 1
            assert re.fullmatch("[0-9a-f]{32}", labels["trace_id"])
