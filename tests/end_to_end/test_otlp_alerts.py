"""A site that sends OTLP alone: its metrics in VictoriaMetrics, its alerts from vmalert to a webhook."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from health_check_dashboards.options import OTLP
from tests.support.alerting import Receiver, alertmanager, receiver, written
from tests.support.boards import BOARDS, targets
from tests.support.client import eventually, get_at_once
from tests.support.otlp import collector
from tests.support.panels import Asked, shown, values_of
from tests.support.sending import SendingSite, instrument
from tests.support.servers import Server, site_under_wrapped_gunicorn, standalone_exporter
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

Way = Callable[[pathlib.Path, str], contextlib.AbstractContextManager[dict[str, str]]]


@contextlib.contextmanager
def directly(folder: pathlib.Path, to: str) -> Iterator[dict[str, str]]:
    """Have the site send to VictoriaMetrics itself, by HTTP."""
    yield {"to": to, "protocol": "http/protobuf"}


@contextlib.contextmanager
def by_collector(folder: pathlib.Path, to: str) -> Iterator[dict[str, str]]:
    """Have it send by gRPC to a collector, which forwards by HTTP."""
    with collector(folder, to, protocol="grpc") as server:
        yield {"to": server.url, "protocol": "grpc"}


@pytest.mark.parametrize("way", [directly, by_collector])
def test_otlp__from_a_broken_check_to_a_webhook(tmp_path: pathlib.Path, way: Way) -> None:
    """A check that breaks is told, and that it is fixed, and that a site is down though its exporter process is not."""
    victoria_program("victoria-metrics")  # else nothing is started
    site_folder = tmp_path / "site"
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(receiver())
        folder = written(tmp_path / "monitoring", {**QUICK, "webhook": told.url})
        manager = stack.enter_context(alertmanager(tmp_path / "am", folder / "alertmanager" / "alertmanager.yml"))
        relabeling = folder / "victoriametrics" / "relabel.yml"
        store = stack.enter_context(victoria_metrics(tmp_path / "vm", relabeling))
        sent = stack.enter_context(way(tmp_path / "collector", f"{store.url}/opentelemetry"))
        site = SendingSite(folder=site_folder, checks=CHECKS, to=sent["to"], variables=variables(sent["protocol"]))
        prices = site_folder / "prices.csv"
        site.environment()
        prices.write_text("tea,2.50\n")
        server = stack.enter_context(site_under_wrapped_gunicorn(site, [instrument()], "--workers=2", "--threads=2"))
        beside = dataclasses.replace(site, to=f"{store.url}/opentelemetry", variables=variables("http/protobuf"))
        stack.enter_context(standalone_exporter(beside, {}, "--otlp"))
        asked = Asked(prometheus=store)
        eventually(lambda: all_send(server, asked), what="metrics of both workers, and of the exporter beside them")
        rules = folder / "prometheus" / "alerts.yml"
        with vmalert(tmp_path / "first", rules, store, None):  # it takes seconds until new series can be read
            eventually(lambda: asked.series(AVAILABLE, at=time.time()), what="an evaluation of the rules")
        stack.enter_context(vmalert(tmp_path / "vmalert", rules, store, manager))
        assert told.read() == []
        prices.unlink()
        is_told(told, "HealthCheckFailing", "firing")
        alert_says_what_it_should(told, asked)
        every_panel_has_data(folder, asked)
        prices.write_text("tea,2.60\n")
        is_told(told, "HealthCheckFailing", "resolved")
        is_told(told, "HealthCheckEndpointFailing", "resolved")
        os.killpg(server.process.pid, signal.SIGKILL)
        is_told(told, "HealthCheckSiteDown", "firing")
        assert {name for name, _ in told.read()} == TOLD


TOLD = {"HealthCheckFailing", "HealthCheckEndpointFailing", "HealthCheckSiteDown"}


def variables(protocol: str) -> dict[str, str]:
    """Return what is set of the site besides where it sends to."""
    return {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }


def all_send(server: Server, asked: Asked) -> bool:
    """Ask the site, as load balancers do, and tell whether metrics of each process have arrived."""
    get_at_once([f"{server.url}/health/"] * 4)
    return sorted(roles(asked).values()) == ["exporter", "site", "site"]


def roles(asked: Asked) -> dict[str, str]:
    """Return the role of each process that sends."""
    found = map(dict, asked.series('health_check_process_info{job="shop"}', at=time.time()))
    return {labels["instance"]: labels["health_check_role"] for labels in found}


def is_told(told: Receiver, alert: str, status: str) -> None:
    """Wait until the webhook was told of an alert."""
    eventually(lambda: (alert, status) in told.read(), what=f"{alert} to be told as {status}", seconds=120)


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
