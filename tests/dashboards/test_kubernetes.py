"""The files for Kubernetes and Compose, as far as they can be checked without either."""

from __future__ import annotations

import functools
import json
import pathlib
import re
import shlex
import subprocess
import sys
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from django.core.management import load_command_class
from django.urls import reverse

from health_check.conf import settings
from health_check_dashboards.__main__ import write
from health_check_dashboards.options import options_of
from tests.support import operator_schemas
from tests.support.boards import PACKAGE
from tests.support.services import require, verify

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


@pytest.mark.parametrize("name", ["deployment.yaml", "sidecar.yaml", "grafana-dashboards.yaml"])
def test_resources__are_of_the_schema(folder: pathlib.Path, name: str) -> None:
    """Kubernetes knows each of their fields, and a field that it does not know is found."""
    for resource in resources(folder, name):
        kubernetes_validate.validate(resource, VERSION, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**resource, "specs": {}}, VERSION, strict=True)


OPERATOR_FILES = ("service-monitor.yaml", "pod-monitor.yaml", "probe.yaml", "prometheus-rule.yaml")


def test_operator__knows_each_field(tmp_path: pathlib.Path) -> None:
    """The Prometheus operator takes each resource, with labels that were said; what it does not know is found."""
    labels = ("release=monitoring", "example.com/team=web")
    write(tmp_path, options_of({"job": "shop/web"}, ("env",), k8s_labels=labels), force=False)
    expected = {"app.kubernetes.io/name": "shop-web", "release": "monitoring", "example.com/team": "web"}
    for name in OPERATOR_FILES:
        (resource,) = resources(tmp_path, name)
        assert resource["metadata"]["labels"] == expected
        assert resource["apiVersion"] == "monitoring.coreos.com/v1"
        assert operator_schemas.errors(resource) == []
        for broken in ({**resource["spec"], "intervall": "15s"}, *broken_within(resource["spec"])):
            assert operator_schemas.errors({**resource, "spec": broken}), broken


def broken_within(value: Any) -> list[Any]:
    """Return a value with an unknown field in each object of its lists, one at a time."""
    return [
        {**value, key: [{**each[0], "unknown": "x"}, *each[1:]]}
        for key, each in value.items()
        if isinstance(each, list) and isinstance(each[0], dict)
    ]


def test_names__differ_between_sites(tmp_path: pathlib.Path) -> None:
    """Two sites share no resource, so that applying one replaces nothing of the other."""
    named = []
    for job in ("shop", "blog"):
        write(tmp_path / job, options_of({"job": job}), force=False)
        found = [each for name in (*OPERATOR_FILES, "deployment.yaml") for each in resources(tmp_path / job, name)]
        named.append({(each["kind"], each["metadata"]["name"]) for each in found})
        assert len(named[-1]) == len(found)
    assert not named[0] & named[1]


def test_probes__suit_what_they_ask() -> None:
    """Liveness runs no check; readiness waits longer than a check may take; each has its timeouts."""
    deployment, service = resources(PACKAGE, "deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    startup, live, ready = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    path_of = functools.partial(reverse, urlconf="health_check.urls.all")
    assert startup["httpGet"] == live["httpGet"] == {"path": path_of("health_check_live"), "port": "http"}
    assert ready["httpGet"] == {"path": path_of("health_check_ready"), "port": "http"}
    assert ready["timeoutSeconds"] > settings.TIMEOUT + 0.9
    for probe in (startup, live, ready):
        assert probe.keys() == {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in container["ports"]]


LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What Kubernetes takes for the value of a label."""

SERVICE_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""What it takes for the name of a Service, whose name is a domain."""


@pytest.mark.parametrize("job", ["shop", "monitoring/shop-web", "a/" + "b" * 80, "a" * 62 + "/b", "1.2.3", "true"])
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
    assert SERVICE_NAME.fullmatch(service["metadata"]["name"])


def test_pod_monitor__scrapes_site_and_exporter(folder: pathlib.Path) -> None:
    """It selects the pods of both Deployments, and both ports of the one with an exporter process, as one job."""
    (monitor,) = resources(folder, "pod-monitor.yaml")
    for name in ("deployment.yaml", "sidecar.yaml"):
        pods = resources(folder, name)[0]["spec"]["template"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
    ports = [port["name"] for container in pods["spec"]["containers"] for port in container["ports"]]
    scraped = monitor["spec"]["podMetricsEndpoints"]
    assert [endpoint["port"] for endpoint in scraped] == ports == ["http", "metrics"]
    for endpoint in scraped:
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "shop"}]
        assert endpoint["path"] == "/metrics"


def test_probe__is_the_one_that_the_alert_expects(folder: pathlib.Path) -> None:
    """Its job, module and address are those of the rules, of the blackbox exporter and of what was said."""
    options = {"job": "shop", "blackbox": "prober:9115", "probe": "https://shop.example/health/"}
    write(folder / "other", options_of(options), force=False)
    (probe,) = resources(folder / "other", "probe.yaml")
    assert f'probe_success{{job="{probe["spec"]["jobName"]}"}}' in (
        (folder / "other" / "prometheus" / "alerts.yml").read_text()
    )
    assert probe["spec"]["module"] in yaml.safe_load((folder / "blackbox" / "blackbox.yml").read_text())["modules"]
    assert probe["spec"]["prober"]["url"] == "prober:9115"
    assert probe["spec"]["targets"]["staticConfig"]["static"] == ["https://shop.example/health/"]


def test_sidecar__shares_the_store_of_the_site(folder: pathlib.Path) -> None:
    """The site is as without it; beside it runs a command that there is, of the same image, user and folder."""
    alone = resources(folder, "deployment.yaml")[0]["spec"]["template"]["spec"]
    pod = resources(folder, "sidecar.yaml")[0]["spec"]["template"]["spec"]
    web, exporter = pod["containers"]
    assert {**pod, "containers": [web]} == alone
    for field in ("image", "securityContext", "volumeMounts"):
        assert exporter[field] == web[field]
    assert "lifecycle" not in exporter
    asked = arguments_of(exporter["command"])
    assert asked["host"] == "0.0.0.0"
    assert [port["containerPort"] for port in exporter["ports"]] == [asked["port"]]


def arguments_of(command: list[str]) -> dict[str, Any]:
    """Return what a management command makes of the arguments of a container's command."""
    python, manage, name, *arguments = command
    assert (python, manage) == ("python", "manage.py")
    parser = load_command_class("health_check", name).create_parser(manage, name)
    return vars(parser.parse_args(arguments))


@pytest.mark.parametrize("name", ["deployment.yaml", "sidecar.yaml"])
def test_pods__drain_and_write_to_one_folder_only(folder: pathlib.Path, name: str) -> None:
    """A pod fails its readiness before it ends, and has the time; no process is root, nor writes but to its folder."""
    pod = resources(folder, name)[0]["spec"]["template"]["spec"]
    web = pod["containers"][0]
    asked = arguments_of(web["lifecycle"]["preStop"]["exec"]["command"])
    ready = web["readinessProbe"]
    assert asked["wait"] >= ready["periodSeconds"] * ready["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= asked["wait"] + 30
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    for container in pod["containers"]:
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of the pod
        restricted = container["securityContext"]
        assert (restricted["readOnlyRootFilesystem"], restricted["allowPrivilegeEscalation"]) == (True, False)
        assert restricted["capabilities"] == {"drop": ["ALL"]}


def test_compose__is_of_the_schema(folder: pathlib.Path) -> None:
    """It is as the Compose specification has it, and a field that this does not know is found."""
    file = folder / "compose.yaml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    for text, code in ((file.read_text(), 0), (file.read_text().replace("restart:", "restarts:", 1), 1)):
        file.write_text(text)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, f"{shlex.join(command)}: {done.stdout}"


def test_prometheus_rule__has_the_rules(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Its groups are those of the rule file, and promtool reads them."""
    (rule,) = resources(folder, "prometheus-rule.yaml")
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((folder / "prometheus" / "alerts.yml").read_text())
    file = tmp_path / "spec.yml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    verify(require("promtool", package="prometheus"), "check", "rules", file)


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
