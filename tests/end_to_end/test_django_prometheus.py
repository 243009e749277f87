"""Beside django-prometheus, with and without prometheus_client's multiprocess mode."""

from __future__ import annotations

import collections
import gzip
import pathlib
import re
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from tests.support.client import eventually, get, send
from tests.support.parsing import parse_openmetrics, parse_text
from tests.support.plain.settings import MIDDLEWARE as OF_PLAIN
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

WORKERS = 2
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
REQUESTS = "django_http_responses_total_by_status_view_method"
STATUS = "django_health_check_status"
CHECKS = {"Cache", "Database", "Counting"}


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    """A site whose requests, database and cache are instrumented, with checks of what is."""
    folder = tmp_path / "site"
    database = {"ENGINE": "django_prometheus.db.backends.sqlite3", "NAME": str(folder / "db" / "plain.sqlite3")}
    return Site(
        folder=folder,
        checks=["health_check.Cache", "health_check.Database", "tests.support.site.checks.Counting"],
        max_age=30,
        caches={"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}},
        settings={
            "INSTALLED_APPS": ["django_prometheus"],
            "ROOT_URLCONF": "tests.support.site.instrumented_urls",
            "MIDDLEWARE": [
                "django_prometheus.middleware.PrometheusBeforeMiddleware",
                "tests.support.site.views.name_process",
                *OF_PLAIN,
                "django.middleware.gzip.GZipMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware",
            ],
            "DATABASES": {"default": database},
        },
    )


@pytest.fixture
def alone(site: Site) -> Iterator[Server]:
    """The site, served by one process."""
    with site_under_gunicorn(site) as server:
        yield server


@pytest.fixture
def server(site: Site, tmp_path: pathlib.Path) -> Iterator[Server]:
    """The site, served by several processes, in multiprocess mode."""
    (tmp_path / "metrics").mkdir()
    multiprocess = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    with site_under_gunicorn(site, f"--workers={WORKERS}", "--threads=2", environment=multiprocess) as server:
        yield server


def families(page: str, *, openmetrics: bool) -> dict[str, Metric]:
    """Return the families of a page, each of which there is only once, as are its series."""
    lines = re.findall(r"(?m)^# TYPE (\S+)", page)
    assert len(lines) == len(set(lines))
    parsed = (parse_openmetrics if openmetrics else parse_text)(page)
    for family in parsed:
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(series) == len(set(series))
    return {family.name: family for family in parsed}


def ask_all_workers(server: Server) -> int:
    """Ask for a page until each worker has given it a few times, and return how often it was asked for."""
    answers: collections.Counter[str] = collections.Counter()

    def all_have_answered() -> bool:
        answers[str(get(f"{server.url}/plain/").headers[PROCESS_HEADER])] += 1
        return len(answers) == WORKERS and min(answers.values()) >= 3

    eventually(all_have_answered, what="answers of all workers")
    return sum(answers.values())


def plain_requests(found: dict[str, Metric]) -> float:
    """Return how many requests for that page are counted."""
    counted = [sample for sample in found[REQUESTS].samples if sample.name == f"{REQUESTS}_total"]
    return sum(sample.value for sample in counted if sample.labels["view"] == "tests.support.site.views.plain")


def statuses(found: dict[str, Metric]) -> dict[str, float]:
    """Return the status of each check."""
    return {sample.labels["check"]: sample.value for sample in found[STATUS].samples}


def test_multiprocess__one_scrape_shows_both(site: Site, server: Server) -> None:
    """One scrape has the requests of all workers and the health checks, whichever worker answers, each family once."""
    asked = ask_all_workers(server)
    assert noted_runs(site.folder, "Counting") == []  # nothing ran at import, at registration, or for other requests
    seen = set()
    for _ in range(20):
        answer = send("GET", f"{server.url}/metrics", headers=OPENMETRICS)
        found = families(answer.body, openmetrics=True)
        assert plain_requests(found) == asked
        assert statuses(found) == dict.fromkeys(CHECKS, 1)
        seen.add(answer.headers[PROCESS_HEADER])
    assert len(seen) == WORKERS
    assert len(noted_runs(site.folder, "Counting")) == 1
    assert_parts(server, asked)


def assert_parts(server: Server, asked: int) -> None:
    """Assert that the page may be restricted, and that django-prometheus' own has what it always has in this mode."""
    page = send("GET", f"{server.url}/metrics?name[]={STATUS}&name[]={REQUESTS}_total", headers=OPENMETRICS).body
    assert families(page, openmetrics=True).keys() == {STATUS, REQUESTS}
    ours = families(get(f"{server.url}/metrics?scope=health").body, openmetrics=False)
    assert all(name.startswith("django_health_check") for name in ours)
    theirs = families(get(f"{server.url}/theirs/metrics").body, openmetrics=False)
    assert plain_requests(theirs) == asked
    assert STATUS not in theirs


def test_alone__on_both_pages(site: Site, alone: Server) -> None:
    """In one process our metrics appear on django-prometheus' page, and its on ours; instrumented services pass."""
    get(f"{alone.url}/plain/")
    assert noted_runs(site.folder, "Counting") == []
    theirs = families(get(f"{alone.url}/theirs/metrics").body, openmetrics=False)
    assert statuses(theirs) == dict.fromkeys(CHECKS, 1)
    ours = families(send("GET", f"{alone.url}/metrics", headers=OPENMETRICS).body, openmetrics=True)
    assert statuses(ours) == dict.fromkeys(CHECKS, 1)
    assert plain_requests(ours) == plain_requests(theirs) == 1
    assert {sample.value > 0 for sample in ours["django_cache_get"].samples} == {True}
    assert sum(sample.value for sample in ours["django_db_execute"].samples) > 0
    health = get(f"{alone.url}/health/", format="json")
    assert (health.status, health.json()) == (200, dict.fromkeys(CHECKS, "OK"))
    request = urllib.request.Request(f"{alone.url}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:  # under GZipMiddleware, too
        assert answer.headers["Content-Encoding"] == "gzip"
        assert STATUS in gzip.decompress(answer.read()).decode()
