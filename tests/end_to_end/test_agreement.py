"""One record: every face of a real site, scraped by a real Prometheus, tells the same."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from tests.support.client import eventually, get
from tests.support.faces import Observations, command, moment
from tests.support.scraping import prometheus, query
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture
def max_age() -> float:
    """How long a record is fresh: long enough for the slowest face, the command, to be read meanwhile."""
    start = time.monotonic()
    assert command("127.0.0.1:1", "health_check")[0] == 2  # nobody listens there
    return 1.0 + 2 * (time.monotonic() - start)


@pytest.fixture
def site(tmp_path: pathlib.Path, max_age: float) -> Site:
    """The plain site with one more check, which flips at each run; no check looks at how full this machine is."""
    return Site(
        folder=tmp_path / "site",
        checks=[
            "health_check.Cache",
            "health_check.Database",
            ["health_check.Disk", {"max_disk_usage_percent": None}],
            "health_check.Mail",
            ["health_check.Memory", {"max_memory_usage_percent": None}],
            "health_check.Storage",
            ["tests.support.plain.checks.PriceList", {"max_age": max_age}],
            "tests.support.site.checks.Flip",
        ],
        max_age=max_age,
        spans=True,
    )


LABELS = {"Cache", "Database", "Disk", "Mail", "Memory", "Storage", "PriceList", "Flip"}


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """The site, served."""
    with site_under_gunicorn(site) as server:
        yield server


@pytest.fixture
def scraper(server: Server, tmp_path: pathlib.Path) -> Iterator[Server]:
    """A Prometheus that scrapes the site."""
    with prometheus(tmp_path / "prometheus", server) as scraper:
        yield scraper


def test_faces__agree_before_during_and_after_a_failure(
    site: Site, server: Server, scraper: Server, max_age: float
) -> None:
    """Whatever is broken or mended, all faces show the same outcome of every run of every check."""
    observations = Observations(server, scraper)

    prices = site.folder / "prices.csv"
    prices.touch()
    agree(observations, server, scraper, failing=set())

    prices.unlink()
    (site.folder / "db").rename(site.folder / "elsewhere")
    agree(observations, server, scraper, failing={"PriceList", "Database"})

    prices.touch()
    (site.folder / "elsewhere").rename(site.folder / "db")
    agree(observations, server, scraper, failing=set())

    assert min(gaps(noted_runs(site.folder, "Flip"))) >= max_age


def agree(observations: Observations, server: Server, scraper: Server, *, failing: set[str]) -> None:
    """Check that all faces come to show these checks failing, and that they agree all the time until they do."""
    expected = {(label, 0 if label in failing else 1) for label in LABELS - {"Flip"}} | {("Flip", 0), ("Flip", 1)}
    since = moment(time.time()) if observations.by_run else ""

    def all_faces_have_shown_them() -> bool:
        observations.observe()
        assert observations.disagreements() == []
        shown = observations.shown_by_all(since=since)
        settled = {pair for pair in expected if pair[0] in ("Mail", "Storage")} if since else set()
        return expected - settled <= shown

    eventually(all_faces_have_shown_them, what=f"all faces to show {failing or 'nothing'} failing")
    healthy = not failing
    assert get(f"{server.url}/health/").status == (200 if healthy else 500)
    assert command(server.address, "health_check")[0] == (0 if healthy else 1)
    endpoint_status = 'django_health_check_endpoint_status{url_name="health_check"}'
    eventually(
        lambda: [value for _, value in query(scraper, endpoint_status)] == [float(healthy)],
        what=f"Prometheus to show the endpoint {'healthy' if healthy else 'failing'}",
    )
