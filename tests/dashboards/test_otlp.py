"""What is written for the names that arrive by OTLP."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from health_check_dashboards.files import files_of, packaged
from health_check_dashboards.options import options_of
from health_check_dashboards.otlp import LABELS, METRICS, TEXTS, renamed
from health_check_opentelemetry.gauges import INSTRUMENTS
from health_check_opentelemetry.observer import DURATION
from tests.support.boards import alert_rules, grouped_labels, selectors

OPTIONS = options_of({"metrics": "otlp"})

WRITTEN = {file.path: file.render(OPTIONS) for file in files_of(OPTIONS)}

NAMED = [path for path in WRITTEN if re.search("alerts.yml|health.html|json|prometheus-rule|dashboards.yaml", path)]
"""The files that name metrics."""


def arriving() -> set[str]:
    """Return what our instruments are called in Prometheus: by the rules of OpenTelemetry for that."""
    units = {"s": "_seconds"}
    suffixes = {"counter": "_total"}
    names = {
        name.replace(".", "_") + units.get(one.unit, "") + suffixes.get(one.kind, "")
        for name, one in INSTRUMENTS.items()
    }
    histogram = DURATION.replace(".", "_") + "_seconds"
    return names | {histogram, f"{histogram}_bucket"}


def test_metrics__are_those_that_arrive() -> None:
    """Each instrument is the counterpart of a metric, and each name is that of an instrument."""
    assert set(METRICS.values()) == arriving()


@pytest.mark.parametrize("path", NAMED)
def test_file__has_the_names_that_arrive(path: str) -> None:
    """No metric and no label has the name that it has on ``/metrics``, but those of recording rules."""
    text = WRITTEN[path].replace('\\"', '"')
    assert not re.search(r"(?<![\w:])django_health_check_", text)
    named = [(name, labels) for name, labels in selectors(text) if not name.startswith("ALERTS")]
    ours = {name for name, _ in named if name.startswith("health_check_")}
    assert ours
    assert ours <= arriving()
    used = {label for _, labels in named for label in labels} | grouped_labels([text])
    assert not used & LABELS.keys() - ({"store"} if "html" in path else set())


@pytest.mark.parametrize("text", TEXTS)
def test_text__is_there_to_be_replaced(text: str) -> None:
    """What is said otherwise is said in a file of the package."""
    paths = ["prometheus/alerts.yml", "prometheus/consoles/health.html"]
    boards = [f"grafana/dashboards/{name}.json" for name in ("health", "fleet", "now")]
    assert any(text in packaged(path) for path in paths + boards)


def test_files__are_those_of_otlp() -> None:
    """Nothing scrapes the site, and what gives metrics their job in VictoriaMetrics is there."""
    assert {"kubernetes/service-monitor.yaml", "kubernetes/pod-monitor.yaml"}.isdisjoint(WRITTEN)
    jobs = yaml.safe_load(WRITTEN["prometheus/prometheus.yml"])["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["django-probe"]
    assert "--web.enable-otlp-receiver" in yaml.safe_load(WRITTEN["compose.yaml"])["services"]["prometheus"]["command"]
    assert [rule["target_label"] for rule in yaml.safe_load(WRITTEN["victoriametrics/relabel.yml"])] == [
        "job",
        "job",
        "instance",
    ]


def test_alerts__are_the_same_but_for_those_on_single_targets() -> None:
    """Of targets there is nothing to tell: a process that sends no more was stopped, or is down."""
    missing = {"HealthCheckMostTargetsDown", "HealthCheckTargetDown", "HealthCheckMetricsAbsent"}
    names = [rule["alert"] for rule in alert_rules()]
    assert [rule["alert"] for rule in alert_rules(OPTIONS)] == [one for one in names if one not in missing]


def test_alerts__have_the_labels_that_alertmanager_knows() -> None:
    """Alerts on checks have ``check`` and the tags, those on endpoints ``url_name``, by which all alerts are told."""
    for rule in alert_rules(options_of({"metrics": "otlp"}, tags=("team",))):
        labels, summary = rule["labels"], rule["annotations"]["summary"]
        if "health_check_name" in summary:
            assert labels["check"] == "{{ $labels.health_check_name }}"
            assert labels["team"] == "{{ $labels.health_check_tag_team }}"
            assert "group_left (health_check_tag_team, health_check_runbook)" in rule["expr"]
        if "health_check_url_name" in summary:
            assert labels["url_name"] == "{{ $labels.health_check_url_name }}"


def test_labels__of_a_site_are_kept() -> None:
    """Another label by which sites differ is in all clauses, variables and queries, too."""
    options = options_of({"metrics": "otlp"}, ("env",))
    for file in files_of(options):
        assert not re.search(r"(?<!env, )namespace, job", file.render(options)), file.path
    [board] = [file.render(options) for file in files_of(options) if file.path.endswith("health.json")]
    [variable] = [one for one in json.loads(board)["templating"]["list"] if one["name"] == "env"]
    assert variable["query"]["query"] == "label_values(health_check_store_up, env)"


def test_renaming__refuses_a_metric_that_has_no_other_name() -> None:
    """A metric without counterpart is a mistake in this package."""
    with pytest.raises(LookupError):
        renamed("sum(django_health_check_something)")
