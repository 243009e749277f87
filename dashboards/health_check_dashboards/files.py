"""The files of a site: which there are, and what each says."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from health_check_dashboards import otlp
from health_check_dashboards.options import DEFAULTS, HEALTH_PAGE, OTLP, Options, error_budget
from health_check_dashboards.templating import adapt, with_labels, with_runbooks

DASHBOARDS = ("health.json", "fleet.json", "now.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A file that is written."""

    path: str
    """Where, below the folder."""
    text: str
    """What it is for."""
    render: Callable[[Options], str]
    """Returns what it says for a site."""


def packaged(path: str) -> str:
    """Return a file of this package, which is what a site with the defaults gets."""
    return importlib.resources.files("health_check_dashboards").joinpath(path).read_text(encoding="utf-8")


def dashboard(path: str, options: Options) -> str:
    """Return the JSON of a dashboard, adapted."""
    of_otlp = options.source == OTLP
    text = with_labels(otlp.adapted(packaged(path)) if of_otlp else packaged(path), options.labels)
    text = otlp.renamed(text) if of_otlp else text
    text = with_runbooks(text, options["runbook-base"])
    page = urllib.parse.urlsplit(options["health-url"])
    text = text.replace(HEALTH_PAGE, page._replace(netloc="${__value.raw}").geturl())
    model = json.loads(text.replace(f"[{DEFAULTS['window']}]", f"[{options['window']}]"))
    variables = model["templating"]["list"]
    for variable in variables:
        if variable["name"] == "objective":
            _choose(variable, options["objective"])
    for panel in model["panels"]:
        if panel["title"] == "Availability":
            panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:] = _steps(options["objective"])
        for step in panel.get("transformations", []):
            _name_columns(step["options"], options.labels)
        if "description" in panel:
            panel["description"] = panel["description"].replace("30 days", _in_words(options["window"]))
    variables[1:1] = [_variable(label, variables, options) for label in options.labels]
    for link in model["links"]:
        if link["title"] == "Runbook":
            link["url"] = options["runbook-base"]
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def _name_columns(step: dict[str, Any], labels: tuple[str, ...]) -> None:
    """Give each label that distinguishes sites a column, before the one of namespaces."""
    names, order = step.get("renameByName", {}), step.get("indexByName", {})
    if "namespace" not in names:
        return
    first = order["namespace"]
    order |= {name: index + len(labels) for name, index in order.items() if index >= first}
    order |= {label: first + number for number, label in enumerate(labels)}
    names |= {label: label.capitalize() for label in labels}


def _steps(objective: str) -> list[dict[str, Any]]:
    """Return the steps of availability: yellow from the objective on, green with three quarters of the budget left."""
    least = 1 - float(error_budget(objective))
    good = 1 - float(error_budget(objective)) * 0.75
    return [{"value": round(least, 8), "color": "orange"}, {"value": round(good, 8), "color": "green"}]


def _in_words(duration: str) -> str:
    return re.sub(r"(\d+)d$", r"\1 days", duration)


def _variable(label: str, variables: list[dict[str, Any]], options: Options) -> dict[str, Any]:
    """Return the variable of a label, which is like the one of namespaces."""
    like = next(variable for variable in variables if variable["name"] == "namespace")
    metric = "django_health_check_store_up"
    values = f"label_values({otlp.renamed(metric) if options.source == OTLP else metric}, {label})"
    query = {"query": values, "refId": f"variable-{label}"}
    text = f"Values of the label {label}"
    return {**like, "name": label, "label": label.capitalize(), "description": text, "query": query}


def _choose(variable: dict[str, Any], value: str) -> None:
    variable["query"] = value
    variable["current"] = {"text": value, "value": value}


def prometheus_rule(options: Options) -> str:
    """Return the rules as a resource of the Prometheus operator."""
    rules = adapt(packaged("prometheus/alerts.yml"), options)
    head = adapt(PROMETHEUS_RULE, options)
    return head + _indented(rules[rules.index("groups:\n") :], 2)


def config_map(options: Options) -> str:
    """Return the dashboards as ConfigMaps for the sidecar of Grafana's Helm chart."""
    return "---\n".join(_config_map(name, options) for name in DASHBOARDS)


def _config_map(name: str, options: Options) -> str:
    head = adapt(CONFIG_MAP.replace("NAME", name.removesuffix(".json")), options)
    return head + _indented(dashboard(f"grafana/dashboards/{name}", options), 4)


def _indented(text: str, columns: int) -> str:
    return "".join(" " * columns + line if line.strip() else line for line in text.splitlines(keepends=True))


PROMETHEUS_RULE = """\
# For the Prometheus operator: the rules of prometheus/alerts.yml. In a Helm chart, the braces have to be escaped.

apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: django-health  # --job
  labels:
    app.kubernetes.io/name: "django"  # --job
spec:
"""

CONFIG_MAP = """\
# For the sidecar of Grafana's Helm chart, which finds dashboards by their label. In a Helm chart, the braces have to be
# escaped.

apiVersion: v1
kind: ConfigMap
metadata:
  name: django-health-dashboard-NAME
  labels:
    grafana_dashboard: "1"
  annotations:
    grafana_folder: "Health"  # --grafana-folder
data:
  django-health-NAME.json: |
"""


def _files() -> Iterator[File]:
    for path, text in ADAPTED.items():
        yield File(path=path, text=text, render=functools.partial(_adapted, path))
    for name, text in zip(DASHBOARDS, ("one site, in full", "all sites and checks", "what is wrong now"), strict=True):
        path = f"grafana/dashboards/{name}"
        yield File(path=path, text=f"dashboard: {text}", render=functools.partial(dashboard, path))
    path = "kubernetes/prometheus-rule.yaml"
    yield File(path=path, text="the rules, for the Prometheus operator", render=prometheus_rule)
    path = "kubernetes/grafana-dashboards.yaml"
    yield File(path=path, text="the dashboards, for Grafana's sidecar", render=config_map)


def _adapted(path: str, options: Options) -> str:
    return adapt(packaged(path), options)


ADAPTED = {
    "prometheus/alerts.yml": "alerting and recording rules",
    "prometheus/prometheus.yml": "scrapes the site, and probes it from outside",
    "prometheus/consoles/health.html": "a health page that Prometheus itself shows, at /consoles/health.html",
    "alertmanager/alertmanager.yml": "who is notified, and which alert inhibits which",
    "blackbox/blackbox.yml": "how to probe",
    "grafana/provisioning/datasources/prometheus.yml": "Grafana's data source: Prometheus",
    "grafana/provisioning/dashboards/health.yml": "where Grafana finds the dashboards",
    "kubernetes/service-monitor.yaml": "scrapes the site by its Service, for the Prometheus operator",
    "kubernetes/pod-monitor.yaml": "scrapes the pods instead, with exporter processes beside the site",
    "kubernetes/probe.yaml": "probes the site from outside, for the Prometheus operator",
    "kubernetes/deployment.yaml": "probes, draining, a folder for the store, for a Deployment of your own",
    "kubernetes/sidecar.yaml": "the same with an exporter process in each pod",
    "victoriametrics/relabel.yml": "labels job and instance of metrics that come by OTLP, for VictoriaMetrics",
    "compose.yaml": "all of it, for docker compose",
}
"""Files that are packaged, and what they are for."""

OF_METRICS = {
    "kubernetes/service-monitor.yaml": "prometheus",
    "kubernetes/pod-monitor.yaml": "prometheus",
    "victoriametrics/relabel.yml": OTLP,
}
"""Files that hold for one value of ``--metrics`` only."""


def files_of(options: Options) -> tuple[File, ...]:
    """Return the files of a site."""
    return tuple(file for file in _files() if OF_METRICS.get(file.path, options["metrics"]) == options["metrics"])


FILES = files_of(Options())
"""The files of a site with the defaults."""
