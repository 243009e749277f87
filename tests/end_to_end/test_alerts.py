"""From a broken check to people who are told once: a fleet of two hosts with two workers each, and an exporter."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.alerting import Receiver, alertmanager, blackbox_exporter, prometheus, receiver, written
from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually, get
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
    "burn-for": "1h",
    "keep-firing": "4s",
    "group-wait": f"{WAIT_SECONDS}s",
    "group-interval": f"{WAIT_SECONDS}s",
}
"""Options with which alerts come in seconds; all else is as it is written."""

PAGE_SECONDS = 60.0
"""In what time a page has to come: the 13 seconds that the options add up to, on a machine that is slow."""

LABELS = {
    "alertname": "HealthCheckFailing",
    "job": "shop",
    "check": "Database",
    "severity": "critical",
    "component": "django-health",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fleet:
    """A fleet that is watched."""

    folders: tuple[pathlib.Path, ...]
    """The folders of its hosts, with their databases."""
    hosts: tuple[Server, ...]
    """The web servers of its hosts."""
    alertmanager: Server
    """Is told of alerts."""
    receiver: Receiver
    """Is told of what remains of them."""

    def pages(self) -> list[str]:
        """Return the notifications that the pager got."""
        self.receiver.read()
        return [status for name, status in self.receiver.notifications if name == "health-pager"]

    def move(self, old: str, new: str) -> None:
        """Move the database of each host."""
        for folder in self.folders:
            (folder / old).rename(folder / new)


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
    """A fleet that is well, which has been scraped and probed."""
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(receiver())
        cache = stack.enter_context(redis_server(tmp_path / "redis"))
        sites = [site_of(name, tmp_path, cache) for name in ("web-east", "web-west")]
        hosts = [stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=1")) for site in sites]
        sidecar = stack.enter_context(standalone_exporter(site_of("exporter", tmp_path, cache)))
        said = {**QUICK, "webhook": told.url, "probe": f"{hosts[0].url}/health/live/"}
        folder = written(tmp_path / "monitoring", said)
        manager = stack.enter_context(alertmanager(tmp_path / "am", folder / "alertmanager" / "alertmanager.yml"))
        prober = stack.enter_context(blackbox_exporter(tmp_path / "blackbox", folder / "blackbox" / "blackbox.yml"))
        file = folder / "prometheus" / "prometheus.yml"
        text = file.read_text().replace("alertmanager:9093", manager.address).replace("blackbox:9115", prober.address)
        model = yaml.safe_load(text)
        targets = [one.address for one in (*hosts, sidecar)]
        model["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
        file.write_text(yaml.safe_dump(model))
        scraper = stack.enter_context(prometheus(tmp_path / "prometheus", file))
        up = "count(instance:django_health_check_target:site) == 2 and count(up == 1) == 4 and sum(probe_success) == 1"
        eventually(lambda: query(scraper, up), what="scrapes of both hosts, the exporter and the prober")
        yield Fleet(
            folders=tuple(site.folder for site in sites), hosts=tuple(hosts), alertmanager=manager, receiver=told
        )


def test_fleet__tells_once(fleet: Fleet) -> None:
    """One page says that the database of both hosts is lost, one that it is back, and one that all workers are dead."""
    is_lost_and_back(fleet)
    dies(fleet)


def is_lost_and_back(fleet: Fleet) -> None:
    """Take the databases away, and bring them back."""
    assert fleet.receiver.read() == []
    fleet.move("db", "elsewhere")
    eventually(fleet.pages, what="a page")
    time.sleep(2 * WAIT_SECONDS)  # for more, of which there has to be none
    assert fleet.pages() == ["firing"]
    assert {name for name, _ in fleet.receiver.told} == {"HealthCheckFailing", "HealthCheckEndpointFailing"}
    alert = next(one for one in fleet.receiver.alerts if one["labels"]["alertname"] == "HealthCheckFailing")
    assert alert["labels"] == LABELS
    assert alert["annotations"]["summary"] == "Database fails on shop"
    description = alert["annotations"]["description"]
    assert description.startswith("Database of shop is in error on 100% of its hosts: ")
    assert all(host.address in description for host in fleet.hosts)
    assert "makes these endpoints fail: health_check." in description
    assert alert["annotations"]["runbook_url"].endswith("/alerts/#healthcheckfailing")
    fleet.move("elsewhere", "db")
    eventually(lambda: fleet.pages()[-1] == "resolved", what="the page to be resolved")
    assert len(fleet.pages()) <= 3  # the two alerts may end on both sides of a notification


def dies(fleet: Fleet) -> None:
    """Take the databases away again, and kill all workers while the alerts on that fire; the exporter lives on."""
    before = len(fleet.receiver.read())
    fleet.move("db", "elsewhere")
    failing = ("HealthCheckFailing", "firing")
    eventually(lambda: failing in fleet.receiver.read()[before:], what="the databases to be told of again")
    start = time.monotonic()
    for host in fleet.hosts:
        os.killpg(host.process.pid, signal.SIGKILL)  # gunicorn and its workers, the group that the test started
    down = ("HealthCheckSiteDown", "firing")
    eventually(lambda: down in fleet.receiver.read(), what="a page that says that the site is down")
    assert time.monotonic() - start < PAGE_SECONDS

    def rest_is_silenced() -> bool:
        known: list[dict[str, Any]] = get(f"{fleet.alertmanager.url}/api/v2/alerts").json()
        found = {alert["labels"]["alertname"]: alert["status"] for alert in known}
        assert found.pop("HealthCheckSiteDown")["state"] == "active"
        return "HealthCheckProbeFailing" in found and all(status["inhibitedBy"] for status in found.values())

    eventually(rest_is_silenced, what="the alerts on the probe and on the check to be silenced")
    expected = {"HealthCheckFailing", "HealthCheckEndpointFailing", "HealthCheckSiteDown"}
    assert {name for name, _ in fleet.receiver.read()} == expected
