"""A site that sends OTLP alone: its metrics in VictoriaMetrics, its alerts from vmalert to a webhook."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import json
import os
import pathlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from health_check_dashboards.options import OTLP
from tests.support.alerting import Receiver, alertmanager, prometheus, receiver, written
from tests.support.boards import BOARDS, targets
from tests.support.client import eventually, get, get_at_once
from tests.support.panels import Asked, shown, values_of
from tests.support.sending import instrument, sending
from tests.support.servers import Server, site_under_gunicorn, standalone_exporter
from tests.support.site.configuration import Site
from tests.support.victoria import victoria_metrics, victoria_program, vmalert

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

QUICK = {
    "metrics": OTLP,
    "job": "shop",
    "export-interval": "6s",
    "scrape-interval": "6s",
    "evaluation-interval": "1s",
    "gap": "15s",
    "failing-for": "1s",
    "endpoint-for": "1s",
    "down-for": "2s",
    "keep-firing": "1s",
    "burn-for": "1h",
    "group-wait": "1s",
    "group-interval": "1s",
}

PRICE_LIST = ["tests.support.plain.checks.PriceList", {"tags": {"owner": "payments", "tier": "1"}}]

CHECKS = [PRICE_LIST, "health_check.Database"]

AVAILABLE = "job_url_name:django_health_check_endpoint_status:max"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watched:
    """A site whose metrics are watched."""

    site: Server
    """The site."""
    prices: pathlib.Path
    """What its check looks for."""
    folder: pathlib.Path
    """What was written to watch it."""
    asked: Asked
    """Where its metrics are."""
    told: Receiver
    """Who is told of its alerts."""

    def is_told(self, alert: str, status: str) -> None:
        """Wait until the webhook was told of an alert."""
        eventually(lambda: (alert, status) in self.told.read(), what=f"{alert} to be told as {status}")

    def breaks_and_is_fixed(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Break the check, look at what is told, and fix it."""
        assert self.told.read() == []
        self.prices.unlink()
        self.is_told("HealthCheckFailing", "firing")
        self.is_told("HealthCheckEndpointFailing", "firing")
        alert_says_what_it_should(self.told, self.asked)
        meanwhile()
        self.prices.write_text("tea,2.60\n")
        self.is_told("HealthCheckFailing", "resolved")
        self.is_told("HealthCheckEndpointFailing", "resolved")


@contextlib.contextmanager
def watched(tmp_path: pathlib.Path) -> Iterator[Watched]:
    """Run a site and an exporter process beside it, and what stands between them and a webhook."""
    victoria_program("victoria-metrics")  # else nothing is started
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(receiver())
        folder = written(tmp_path / "monitoring", {**QUICK, "webhook": told.url})
        manager = stack.enter_context(alertmanager(tmp_path / "am", folder / "alertmanager" / "alertmanager.yml"))
        store = stack.enter_context(victoria_metrics(tmp_path / "vm", folder / "victoriametrics" / "relabel.yml"))
        names = {"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
        variables = sending(f"{store.url}/opentelemetry", **names)
        site = Site(folder=tmp_path / "site", checks=CHECKS, variables=variables)
        site.environment()
        prices = site.folder / "prices.csv"
        prices.write_text("tea,2.50\n")
        server = stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=2", wrapper=[instrument()]))
        stack.enter_context(standalone_exporter(site, {}, "--otlp"))
        asked = Asked(prometheus=store)
        eventually(lambda: all_send(server, asked), what="metrics of both workers, and of the exporter beside them")
        rules = folder / "prometheus" / "alerts.yml"
        with vmalert(tmp_path / "first", rules, store, None):  # it takes seconds until new series can be read
            eventually(lambda: asked.series(AVAILABLE, at=time.time()), what="an evaluation of the rules")
        stack.enter_context(vmalert(tmp_path / "vmalert", rules, store, manager))
        yield Watched(site=server, prices=prices, folder=folder, asked=asked, told=told)


def test_otlp__from_a_broken_check_to_a_webhook(tmp_path: pathlib.Path) -> None:
    """A check that breaks is told, and that it is fixed, and that a site is down though its exporter process is not."""
    with watched(tmp_path) as site:

        def pages() -> None:
            every_panel_has_data(site.folder, site.asked)
            the_console_shows_it(tmp_path / "prometheus", site)

        site.breaks_and_is_fixed(pages)
        os.killpg(site.site.process.pid, signal.SIGKILL)
        site.is_told("HealthCheckSiteDown", "firing")
        assert {name for name, _ in site.told.read()} == TOLD


TOLD = {"HealthCheckFailing", "HealthCheckEndpointFailing", "HealthCheckSiteDown"}


def all_send(server: Server, asked: Asked) -> bool:
    """Ask the site, as load balancers do, and tell whether metrics of each process have arrived."""
    get_at_once([f"{server.url}/health/"] * 4)
    return sorted(roles(asked).values()) == ["exporter", "site", "site"]


def roles(asked: Asked) -> dict[str, str]:
    """Return the role of each process that sends."""
    found = map(dict, asked.series('health_check_process_info{job="shop"}', at=time.time()))
    return {labels["instance"]: labels["health_check_role"] for labels in found}


def alert_says_what_it_should(told: Receiver, asked: Asked) -> None:
    """Look at what is told of the check: labels as of any other site, and which processes show it."""
    alert = next(one for one in told.alerts if one["labels"]["alertname"] == "HealthCheckFailing")
    expected = {"job": "shop", "check": "PriceList", "owner": "payments", "tier": "1", "severity": "critical"}
    assert expected.items() <= alert["labels"].items()
    assert alert["annotations"]["summary"] == "PriceList fails on shop"
    description = alert["annotations"]["description"]
    assert "PriceList of shop is in error on 100% of its hosts: " in description
    assert "makes these endpoints fail: health_check." in description
    assert any(instance in description for instance, role in roles(asked).items() if role == "site")


def every_panel_has_data(folder: pathlib.Path, asked: Asked) -> None:
    """Evaluate each query of each dashboard, with all variables; but for what shows only what hangs."""
    for name in BOARDS:
        model = json.loads((folder / "grafana" / "dashboards" / f"{name}.json").read_text())
        values = values_of(asked, model)

        def empty(model: Mapping[str, Any] = model, values: Mapping[str, str] = values) -> list[str]:
            return [one.panel for one in targets(model) if not shown(asked, one, values, time.time())]

        try:
            eventually(lambda: set(empty()) <= WITHOUT_DATA, what=f"data in all panels of {name}", seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {empty()}") from None


WITHOUT_DATA = {"Runs under way: A"}
"""What shows nothing while no run hangs."""


def the_console_shows_it(folder: pathlib.Path, site: Watched) -> None:
    """Read the console page, of a Prometheus that takes over what has arrived."""
    configuration = site.folder / "prometheus" / "federation.yml"
    job = {
        "job_name": "federation",
        "honor_labels": True,
        "metrics_path": "/federate",
        "params": {"match[]": ['{job="shop"}']},
        "static_configs": [{"targets": [site.asked.prometheus.address]}],
    }
    configuration.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    texts = ("PriceList", "Database", ">error<", ">ok<", "not 200", "health_check*")
    with prometheus(folder, configuration) as server:

        def page() -> str | None:
            answer = get(f"{server.url}/consoles/health.html", job="shop")
            assert answer.status == 200, answer.body
            return answer.body if all(text in answer.body for text in texts) else None

        found = eventually(page, what=f"{texts} on the page")
        there = Asked(prometheus=server).series
        for expression in map(html.unescape, re.findall(r'data-query="([^"]*)"', found)):
            assert eventually(lambda e=expression: there(e, at=time.time(), instant=False), what=expression)  # type: ignore[misc]
