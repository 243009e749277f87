"""A real Prometheus scrapes a site one of whose checks hangs."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

from health_check_prometheus.scrape_timeout import TIMEOUT_HEADER
from tests.support.client import Lag, eventually, send
from tests.support.faces import query
from tests.support.scraping import prometheus_programs, scrape, scraping
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

SCRAPE_WAIT = 2.0
"""How long a scrape waits for a check, unless it announces that it waits less."""

SCRAPE_SECONDS = 1.0
"""How long Prometheus waits for an answer here."""

STATE = "django_health_check_state"


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Iterator[Site]:
    """A site with a check that hangs, and one in order."""
    names = ["tests.support.site.checks.Hang", "tests.support.site.checks.Counting"]
    found = Site(folder=tmp_path / "site", checks=names, max_age=0.5, health_check={"TIMEOUT": 100})
    yield found
    release(found.folder)


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """The site, served by several workers."""
    with site_under_gunicorn(site, "--workers=2", "--threads=4") as server:
        yield server


CASES: list[tuple[dict[str, str], float]] = [
    ({}, SCRAPE_WAIT),
    ({TIMEOUT_HEADER: "0.5"}, 0.5),
    ({TIMEOUT_HEADER: "30"}, SCRAPE_WAIT),
]
"""What a scrape may announce, and when it is to be answered."""


def test_page__is_answered_in_time(server: Server) -> None:
    """The page is there when the scrape's own timeout is over, or ``SCRAPE_WAIT``, without what hangs."""
    for headers, seconds in CASES:
        lag = Lag()
        with lag.measured():
            answer = send("GET", f"{server.url}/metrics", headers=headers)
        assert answer.status == 200
        assert answer.seconds < seconds + lag.slack
        assert f'{STATE}{{check="Hang",state="unknown"}} 1.0' in answer.body
        assert f'{STATE}{{check="Counting",state="ok"}} 1.0' in answer.body
        assert 'django_health_check_in_progress{check="Hang"} 1.0' in answer.body


def test_scrape__goes_on(site: Site, server: Server, tmp_path: pathlib.Path) -> None:
    """Prometheus gets its metrics within a timeout shorter than ``SCRAPE_WAIT``, and learns what hangs, and its end."""
    jobs = [{"job_name": "site", "metrics_path": "/metrics"}]
    with contextlib.ExitStack() as stack:
        scrapers = []
        for number, program in enumerate(prometheus_programs()):
            folder = tmp_path / f"scraper-{number}"
            scrapers.append(stack.enter_context(scraping(program, folder, jobs, seconds=SCRAPE_SECONDS)))
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
    expression = f'{STATE}{{check="{check}",state="{state}"}} == 1'
    eventually(lambda: list(query(scraper, expression)), what=expression)
