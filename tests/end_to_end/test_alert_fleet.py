"""How often people are told: a fleet of two hosts with two workers each and an exporter process, on one Redis."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.support.alerting import Receiver, alertmanager, prometheus, receiver, written
from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually
from tests.support.scraping import query
from tests.support.servers import Server, site_under_gunicorn, standalone_exporter
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

WAIT_SECONDS = 8
"""How long Alertmanager waits for more before it tells."""

QUICK = {
    "job": "shop",
    "scrape-interval": "1s",
    "evaluation-interval": "1s",
    "gap": "15s",
    "failing-for": "3s",
    "endpoint-for": "3s",
    "down-for": "3s",
    "start-for": "5s",
    "probe-for": "5s",
    "most-for": "1h",
    "flaps": "100",
    "keep-firing": "4s",
    "group-wait": f"{WAIT_SECONDS}s",
    "group-interval": f"{WAIT_SECONDS}s",
}
"""Options with which alerts come in seconds; all else is as it is written."""

PAGER = "health-pager"

PAGE_SECONDS = 60.0
"""In what time a page has to come: the 13 seconds that the options add up to, on a machine that is slow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fleet:
    """A fleet that is watched."""

    folders: tuple[pathlib.Path, ...]
    """The folders of its hosts, with their databases."""
    hosts: tuple[Server, ...]
    """The web servers of its hosts."""
    prometheus: Server
    """What scrapes it."""
    receiver: Receiver
    """Who is told."""

    def pages(self) -> list[str]:
        """Return the notifications that the pager got."""
        self.receiver.read()
        return [status for name, status in self.receiver.notifications if name == PAGER]

    def values(self, expression: str) -> list[float]:
        """Return the values of an expression."""
        return [value for _, value in query(self.prometheus, expression)]


def site_of(name: str, folder: pathlib.Path, cache: CacheServer) -> Site:
    """Return a host's part of the site."""
    store = {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"host": name, "site": "shop"}}
    return Site(
        folder=folder / name,
        checks=["health_check.Database"],
        max_age=1.0,
        caches={"default": cache.configuration()},
        health_check={"STORE": store},
    )


@pytest.fixture
def fleet(tmp_path: pathlib.Path) -> Iterator[Fleet]:
    """A fleet in order, which has been scraped."""
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(receiver())
        cache = stack.enter_context(redis_server(tmp_path / "redis"))
        sites = [site_of(name, tmp_path, cache) for name in ("web-east", "web-west")]
        hosts = [stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=1")) for site in sites]
        sidecar = stack.enter_context(standalone_exporter(site_of("exporter", tmp_path, cache)))
        folder = written(tmp_path / "monitoring", {**QUICK, "webhook": told.url})
        configuration = folder / "alertmanager" / "alertmanager.yml"
        manager = stack.enter_context(alertmanager(tmp_path / "am", configuration))
        file = folder / "prometheus" / "prometheus.yml"
        model = yaml.safe_load(file.read_text().replace("alertmanager:9093", manager.address))
        model["scrape_configs"] = model["scrape_configs"][:1]
        addresses = [one.address for one in (*hosts, sidecar)]
        model["scrape_configs"][0]["static_configs"] = [{"targets": addresses}]
        file.write_text(yaml.safe_dump(model))
        scraper = stack.enter_context(prometheus(tmp_path / "prometheus", file))
        found = Fleet(
            folders=tuple(site.folder for site in sites), hosts=tuple(hosts), prometheus=scraper, receiver=told
        )
        up = "count(instance:django_health_check_target:site) == 2 and count(up == 1) == 3"
        eventually(lambda: found.values(up), what="scrapes of both hosts and the exporter")
        yield found


def test_fleet__tells_once(fleet: Fleet) -> None:
    """One page says that the database of both hosts is lost, and one that it is back."""
    for folder in fleet.folders:
        (folder / "db").rename(folder / "elsewhere")
    eventually(fleet.pages, what="a page")
    time.sleep(2 * WAIT_SECONDS)  # for more, of which there has to be none
    assert fleet.pages() == ["firing"]
    assert {name for name, _ in fleet.receiver.told} == {"HealthCheckFailing", "HealthCheckEndpointFailing"}
    for folder in fleet.folders:
        (folder / "elsewhere").rename(folder / "db")
    eventually(lambda: fleet.pages()[-1] == "resolved", what="the page to be resolved")
    assert len(fleet.pages()) <= 3  # the two alerts may end on both sides of a notification


@pytest.mark.long  # the scenario "a sidecar is alone" has the rule, and test_alert_chain a site that is killed
def test_fleet__tells_that_all_workers_are_killed(fleet: Fleet) -> None:
    """All web workers are killed, beside an exporter process that lives on, and a page says so within its time."""
    before = len(fleet.receiver.read())
    start = time.monotonic()
    for host in fleet.hosts:
        os.killpg(host.process.pid, signal.SIGKILL)  # gunicorn and its workers, the group that the test started
    down = ("HealthCheckSiteDown", "firing")
    eventually(lambda: down in fleet.receiver.read()[before:], what="a page that says that the site is down")
    assert time.monotonic() - start < PAGE_SECONDS
    eventually(lambda: sorted(fleet.values("up")) == [0, 0, 1], what="scrapes of the exporter alone")
