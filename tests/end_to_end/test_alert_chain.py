"""From a broken check to a delivered notification: the real servers, configured as the package writes them."""

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

from tests.support.alerting import Receiver, alertmanager, blackbox_exporter, prometheus, receiver, replaced, written
from tests.support.client import eventually, get
from tests.support.scraping import query
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CHAIN_SECONDS = 120.0
"""In what time all of it has to be over."""

QUICK = {
    "job": "shop",
    "scrape-interval": "1s",
    "evaluation-interval": "1s",
    "gap": "15s",
    "failing-for": "1s",
    "endpoint-for": "1s",
    "down-for": "2s",
    "start-for": "5s",
    "probe-for": "5s",
    "keep-firing": "1s",
    "burn-for": "1h",
    "group-wait": "1s",
    "group-interval": "1s",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain:
    """All that stands between a check and the people who are told."""

    site: Server
    """The site."""
    price_list: pathlib.Path
    """What its check looks for."""
    prometheus: Server
    """Scrapes and probes it."""
    alertmanager: Server
    """Is told of alerts."""
    receiver: Receiver
    """Is told of what remains of them."""

    def is_told(self, alert: str, status: str, *, times: int = 1) -> None:
        """Wait until the receiver was told of an alert."""
        told = self.receiver.read
        eventually(lambda: told().count((alert, status)) >= times, what=f"{alert} to be told as {status}")


@pytest.fixture
def chain(tmp_path: pathlib.Path) -> Iterator[Chain]:
    """A site in order, which Prometheus has scraped and probed."""
    site = Site(folder=tmp_path / "site", checks=["tests.support.plain.checks.PriceList", "health_check.Database"])
    site.environment()
    price_list = site.folder / "prices.csv"
    price_list.write_text("tea,2.50\n")
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(receiver())
        server = stack.enter_context(site_under_gunicorn(site))
        said = {**QUICK, "target": server.address, "probe": f"{server.url}/health/", "webhook": told.url}
        folder = written(tmp_path / "monitoring", said)
        manager = stack.enter_context(alertmanager(tmp_path / "am", folder / "alertmanager" / "alertmanager.yml"))
        prober = stack.enter_context(blackbox_exporter(tmp_path / "blackbox", folder / "blackbox" / "blackbox.yml"))
        configuration = folder / "prometheus" / "prometheus.yml"
        replaced(configuration, [("alertmanager:9093", manager.address), ("blackbox:9115", prober.address)])
        scraper = stack.enter_context(prometheus(tmp_path / "prometheus", configuration))
        eventually(lambda: values(scraper, "up") == [1, 1], what="scrapes of the site and the prober")
        eventually(lambda: values(scraper, "probe_success") == [1], what="a good probe")
        yield Chain(site=server, price_list=price_list, prometheus=scraper, alertmanager=manager, receiver=told)


def values(prometheus: Server, expression: str) -> list[float]:
    """Return the values of an expression."""
    return [value for _, value in query(prometheus, expression)]


def test_chain__tells_what_breaks_and_mends_and_dies(chain: Chain) -> None:
    """A broken check is told, and its mending; of a site that is killed that it is down, and nothing else."""
    start = time.monotonic()
    assert chain.receiver.read() == []
    breaks_and_mends(chain)
    dies(chain)
    assert time.monotonic() - start < CHAIN_SECONDS


def breaks_and_mends(chain: Chain) -> None:
    """Break the check and mend it."""
    chain.price_list.unlink()
    chain.is_told("HealthCheckFailing", "firing")
    alert = next(one for one in chain.receiver.alerts if one["labels"]["alertname"] == "HealthCheckFailing")
    assert alert["labels"] == {
        "alertname": "HealthCheckFailing",
        "job": "shop",
        "check": "PriceList",
        "severity": "critical",
        "component": "django-health",
    }
    assert alert["annotations"]["summary"] == "PriceList fails on shop"
    assert alert["annotations"]["description"] == (
        f"PriceList of shop is in error on 100% of its hosts: {chain.site.address}, and makes these endpoints fail: "
        "health_check. "
        "The health page of these instances says why."
    )
    assert alert["annotations"]["runbook_url"].endswith("/alerts/#healthcheckfailing")
    chain.is_told("HealthCheckEndpointFailing", "firing")
    chain.price_list.write_text("tea,2.60\n")
    chain.is_told("HealthCheckFailing", "resolved")
    chain.is_told("HealthCheckEndpointFailing", "resolved")


def dies(chain: Chain) -> None:
    """Break the check again, and kill the site while the alerts on that fire."""
    chain.price_list.unlink()
    chain.is_told("HealthCheckFailing", "firing", times=2)
    os.killpg(chain.site.process.pid, signal.SIGKILL)  # gunicorn and its worker, the group that the test started
    chain.is_told("HealthCheckSiteDown", "firing")

    def rest_is_silenced() -> bool:
        found = {alert["labels"]["alertname"]: alert["status"] for alert in told_to(chain.alertmanager)}
        assert found.pop("HealthCheckSiteDown")["state"] == "active"
        return "HealthCheckProbeFailing" in found and all(status["inhibitedBy"] for status in found.values())

    eventually(rest_is_silenced, what="the alerts on the probe and on the check to be silenced")
    told = chain.receiver.read()
    assert told.count(("HealthCheckFailing", "resolved")) == 1
    assert [name for name, _ in told if name not in TOLD] == []


TOLD = ("HealthCheckFailing", "HealthCheckEndpointFailing", "HealthCheckSiteDown")


def told_to(manager: Server) -> list[Any]:
    """Return the alerts that Alertmanager knows of."""
    found: list[Any] = get(f"{manager.url}/api/v2/alerts").json()
    return found
