"""Uptime and incidents beside a real Prometheus: the same runs, whichever worker of whichever host is asked."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pytest

from tests.support.caches import redis_server
from tests.support.client import eventually, get
from tests.support.readiness import kill_worker
from tests.support.scraping import ask, prometheus_programs, scrape, scraping
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

MAX_AGE = 0.4
SCRAPE_SECONDS = 0.5
WORKERS = 2
LABELS = ("Counting", "FailingWhile")
OUTCOMES = ("ok", "warning", "error", "timeout")
SLACK_SECONDS = 2.0
"""How much later than its scrape began a run may have ended that the scrape tells of."""

ATTEMPTS = 10
QUIET_SECONDS = 2.0
"""For how long no check has run when all scrapes have ended."""


@dataclasses.dataclass(kw_only=True)
class Fleet:
    """Servers of a site, and the Prometheus that scrapes them."""

    sites: Sequence[Site]
    servers: Sequence[Server]
    prometheus: Server
    folder: pathlib.Path

    def query(self, text: str) -> list[dict[str, Any]]:
        """Return what a query finds now."""
        found: list[dict[str, Any]] = ask(self.prometheus, "query", query=text)["result"]
        return found

    @contextlib.contextmanager
    def scraped(self) -> Iterator[None]:
        """Have all servers scraped meanwhile, and wait for the last runs in the end."""
        scrape(self.folder, *self.servers)
        yield
        scrape(self.folder)
        eventually(self._is_quiet, what="no more runs")

    def _is_quiet(self) -> bool:
        runs = [noted_runs(site.folder, label)[-1:] for site in self.sites for label in LABELS]
        return all(time.monotonic() - run.started > QUIET_SECONDS for found in runs for run in found)

    def await_status(self, status: int) -> None:
        """Wait until Prometheus has seen the check to have this status on each server for some time."""
        text = f'count_over_time((django_health_check_status{{check="FailingWhile"}} == {status})[4s:500ms]) >= 5'
        eventually(lambda: len(self.query(text)) == len(self.servers), what=text)

    def bounds(self, instance: str) -> tuple[float, float]:
        """Return when the check was first and last seen to fail."""
        (series,) = self.query(f'django_health_check_status{{check="FailingWhile", instance="{instance}"}}[5m]')
        samples = itertools.dropwhile(lambda sample: sample[1] != "1", series["values"])
        bad = [float(moment) for moment, value in samples if value == "0"]
        return bad[0], bad[-1]

    def pasts(self) -> list[dict[str, Any]]:
        """Return what each worker of each server tells of the past."""
        found: dict[str, dict[str, Any]] = {}
        for server in self.servers:
            workers = {str(child.pid) for child in psutil.Process(server.process.pid).children()}

            def all_have_answered(server: Server = server, workers: set[str] = workers) -> bool:
                answer = get(f"{server.url}/past/")
                found[answer.headers[PROCESS_HEADER]] = answer.json()
                return workers <= found.keys()

            eventually(all_have_answered, what="an answer of each worker")
        assert len(found) >= WORKERS * len(self.servers)
        return list(found.values())

    def assert_agreement(self) -> dict[str, Any]:
        """Assert that all workers tell the same, and count the runs that Prometheus has seen; return that."""
        for _ in range(ATTEMPTS):
            first, *others = self.pasts()
            assert all(other == first for other in others)
            known = {label: [first["day"][label][outcome] for outcome in OUTCOMES] for label in LABELS}
            assert known == {label: [first["days"][label][outcome] for outcome in OUTCOMES] for label in LABELS}
            if known == (seen := {label: self._seen(label) for label in LABELS}):
                return first
            with self.scraped():  # the last scrape may have been broken off, but its runs count
                time.sleep(4 * SCRAPE_SECONDS)
        raise AssertionError(f"the store has {known}, Prometheus has seen {seen}")

    def _seen(self, label: str) -> list[float]:
        """Return how many runs of a check there were by the last scrape of each server, by outcome."""
        counted = dict.fromkeys(OUTCOMES, 0.0)
        for sample in self.query(f'last_over_time(django_health_check_runs_total{{check="{label}"}}[5m])'):
            counted[sample["metric"]["outcome"]] += float(sample["value"][1])
        return list(counted.values())


@contextlib.contextmanager
def fleet_of(folder: pathlib.Path, sites: Sequence[Site], environment: dict[str, str] | None = None) -> Iterator[Fleet]:
    """Serve a site on some hosts beside a Prometheus."""
    job = {"job_name": "site", "metrics_path": "/metrics"}
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                site_under_gunicorn(site, f"--workers={WORKERS}", "--threads=1", environment=environment)
            )
            for site in sites
        ]
        program = prometheus_programs()[-1]
        prometheus = stack.enter_context(scraping(program, folder / "scraper", [job], seconds=SCRAPE_SECONDS))
        yield Fleet(sites=sites, servers=servers, prometheus=prometheus, folder=folder / "scraper")


def site_of(folder: pathlib.Path, **options: Any) -> Site:
    """Return a site with a check that can be broken."""
    return Site(
        folder=folder, checks=[f"tests.support.site.checks.{label}" for label in LABELS], max_age=MAX_AGE, **options
    )


def test_past__of_hosts(tmp_path: pathlib.Path) -> None:
    """Each worker of each host tells of the runs of all hosts; what both were in is one incident."""
    with redis_server(tmp_path / "redis") as redis:
        store = "health_check.stores.cache.DjangoCacheStore"
        sites = [
            site_of(
                tmp_path / name,
                caches={"default": redis.configuration()},
                health_check={"SITE": "shop", "STORE": {"BACKEND": store, "OPTIONS": {"host": name}}},
            )
            for name in ("east", "west")
        ]
        for site in sites:
            site.folder.mkdir()
        with fleet_of(tmp_path, sites) as fleet:
            with fleet.scraped():
                fleet.await_status(1)
                for site in sites:
                    site.folder.joinpath("broken").touch()
                fleet.await_status(0)
                kill_worker(fleet.servers[0])
                for site in sites:
                    site.folder.joinpath("broken").unlink()
                fleet.await_status(1)
            past = fleet.assert_agreement()
            (incident,) = past["incidents"]
            assert incident["hosts"] == ["east", "west"]
            for first_bad, last_bad in map(fleet.bounds, ("site", "site-2")):
                assert incident["began"] <= first_bad + SLACK_SECONDS
                assert incident["ended"] >= last_bad - MAX_AGE
