"""The files for Kubernetes and Compose, as far as they can be checked without either."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from health_check.conf import settings
from health_check_dashboards.__main__ import write
from health_check_dashboards.options import options_of
from tests.support.boards import PACKAGE
from tests.support.services import require

VERSION = "1.37"
"""Whose schemas hold."""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The files of a site."""
    write(tmp_path, options_of({"job": "shop", "grafana-folder": "Web shops"}), force=False)
    return tmp_path


def resources(folder: pathlib.Path, name: str) -> list[dict[str, Any]]:
    """Return the resources of a file."""
    return list(yaml.safe_load_all((folder / "kubernetes" / name).read_text()))


@pytest.mark.parametrize("name", ["deployment.yaml", "grafana-dashboards.yaml"])
def test_resources__are_of_the_schema(folder: pathlib.Path, name: str) -> None:
    """Kubernetes knows each of their fields, and a field that it does not know is found."""
    for resource in resources(folder, name):
        kubernetes_validate.validate(resource, VERSION, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**resource, "specs": {}}, VERSION, strict=True)


def test_probes__suit_what_they_ask() -> None:
    """Liveness runs no check; readiness waits longer than a check may take; each has its timeouts."""
    deployment, service = resources_of_defaults("deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    startup, live, ready = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert startup["httpGet"] == live["httpGet"] == {"path": "/health/live/", "port": "http"}
    assert ready["httpGet"] == {"path": "/ready/", "port": "http"}
    assert ready["timeoutSeconds"] > settings.TIMEOUT + 0.9
    for probe in (startup, live, ready):
        assert probe.keys() == {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in container["ports"]]


def resources_of_defaults(name: str) -> list[dict[str, Any]]:
    """Return the resources of a file of the package."""
    return list(yaml.safe_load_all((PACKAGE / "kubernetes" / name).read_text()))


LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What Kubernetes takes for the value of a label."""


@pytest.mark.parametrize("job", ["shop", "monitoring/shop-web", "a/" + "b" * 80, "a" * 62 + "/b"])
def test_service_monitor__finds_the_service_under_the_name_of_the_job(tmp_path: pathlib.Path, job: str) -> None:
    """It selects the Service by a label that Kubernetes takes, under the job of the rules, and names a port of it."""
    write(tmp_path, options_of({"job": job}), force=False)
    (monitor,) = resources(tmp_path, "service-monitor.yaml")
    deployment, service = resources(tmp_path, "deployment.yaml")
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "relabelings"}
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    labelled = [
        deployment,
        service,
        monitor,
        deployment["spec"]["template"],
        *resources(tmp_path, "prometheus-rule.yaml"),
    ]
    for value in [value for each in labelled for value in each["metadata"]["labels"].values()]:
        assert LABEL_VALUE.fullmatch(value), value


def test_prometheus_rule__has_the_rules(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Its groups are those of the rule file, and promtool reads them."""
    (rule,) = resources(folder, "prometheus-rule.yaml")
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((folder / "prometheus" / "alerts.yml").read_text())
    file = tmp_path / "spec.yml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    promtool = require("promtool", package="prometheus")
    subprocess.run([promtool, "check", "rules", file], capture_output=True, timeout=60, check=True)


def test_config_maps__have_the_dashboards(folder: pathlib.Path) -> None:
    """Each has a dashboard as it is written, the label that the sidecar looks for, and the folder."""
    maps = resources(folder, "grafana-dashboards.yaml")
    for resource, name in zip(maps, ("health", "fleet", "now"), strict=True):
        assert resource["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert resource["metadata"]["annotations"] == {"grafana_folder": "Web shops"}
        ((key, text),) = resource["data"].items()
        assert key == f"django-health-{name}.json"
        assert json.loads(text) == json.loads((folder / "grafana" / "dashboards" / f"{name}.json").read_text())
        assert len(text) < 2**20
    assert len({resource["metadata"]["name"] for resource in maps}) == 3


def test_compose__mounts_what_is_written(folder: pathlib.Path) -> None:
    """Each folder that is mounted was written, with the files that commands name, and ports are this machine's."""
    model = yaml.safe_load((folder / "compose.yaml").read_text())
    assert model.keys() == {"services", "volumes"}
    for name, service in model["services"].items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), name
        mounts = dict(mount.split(":")[:2] for mount in service["volumes"])
        for source in mounts:
            assert (folder / source).is_dir() if source.startswith("./") else source in model["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for argument in service.get("command", []):
            if argument.startswith("--config.file="):
                assert mounted(folder, mounts, argument.partition("=")[2]).is_file()
            if argument.startswith("--web.console.templates="):
                assert (mounted(folder, mounts, argument.partition("=")[2]) / "health.html").is_file()


def mounted(folder: pathlib.Path, mounts: dict[str, str], path: str) -> pathlib.Path:
    """Return the written file that a container sees under a path."""
    source, target = next((source, target) for source, target in mounts.items() if path.startswith(target))
    return folder / source / pathlib.PurePath(path).relative_to(target)


def test_compose__servers_know_each_other(folder: pathlib.Path) -> None:
    """Whatever address a configuration has within the network is a service's, or this machine's."""
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    text = "".join(
        (folder / path).read_text()
        for path in ("prometheus/prometheus.yml", "grafana/provisioning/datasources/prometheus.yml")
    )
    hosts = set(re.findall(r"(?:http://| )([a-z.]+):\d{4}", text))
    assert hosts == {"alertmanager", "blackbox", "prometheus", "host.docker.internal"}
    assert hosts - {"host.docker.internal"} <= services.keys()
    for name in ("prometheus", "alertmanager", "blackbox"):
        assert services[name]["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_provisioning__loads_the_dashboards(folder: pathlib.Path) -> None:
    """The provider looks where the dashboards are mounted, and puts them into the folder that was said."""
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["grafana"]
    (provider,) = yaml.safe_load((folder / "grafana/provisioning/dashboards/health.yml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in service["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert provider["folder"] == "Web shops"
    (source,) = yaml.safe_load((folder / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
