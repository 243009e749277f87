"""The configurations of Alertmanager, the blackbox exporter and Prometheus, by their own tools."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from health_check_dashboards.__main__ import write
from health_check_dashboards.options import options_of
from tests.support.boards import PACKAGE, alert_rules
from tests.support.services import require, verify

FILE = PACKAGE / "alertmanager" / "alertmanager.yml"


def run(program: str, package: str, *arguments: str | pathlib.Path) -> None:
    """Run a program of a package, which has to be content."""
    verify(require(program, package=package), *arguments)


@pytest.fixture(params=[{}, {"job": "shop/web", "webhook": "https://example.com/hook?x=1&y=2", "gap": "1m30s"}])
def folder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """The files of a site with the defaults, and of one with other values."""
    write(tmp_path, options_of(request.param, ("env",) if request.param else ()), force=False)
    return tmp_path


def test_configurations__are_proper(folder: pathlib.Path) -> None:
    """Each tool reads its configuration, whatever was said of the site."""
    run("amtool", "prometheus-alertmanager", "check-config", folder / "alertmanager" / "alertmanager.yml")
    run("promtool", "prometheus", "check", "config", folder / "prometheus" / "prometheus.yml")
    blackbox = folder / "blackbox" / "blackbox.yml"
    package = "prometheus-blackbox-exporter"
    run(package, package, f"--config.file={blackbox}", "--config.check")


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "health-pager"), ("warning", "health-tickets")])
def test_alertmanager__routes_by_severity(severity: str, receiver: str) -> None:
    """Whoever is woken is woken by critical alerts only."""
    options = ["config", "routes", "test", f"--config.file={FILE}"]
    labels = [f"severity={severity}", "job=django"]
    ours = [f"--verify.receivers={receiver}", *labels, "component=django-health"]
    run("amtool", "prometheus-alertmanager", *options, *ours)
    run("amtool", "prometheus-alertmanager", *options, "--verify.receivers=nobody", *labels)


@pytest.mark.parametrize(("owner", "receiver"), [("payments", "health-owner-payments"), ("search", "health-pager")])
def test_alertmanager__routes_by_owner(owner: str, receiver: str, tmp_path: pathlib.Path) -> None:
    """Owners who were named are told of their checks, and the pager of all others."""
    write(tmp_path, options_of({}, owners=("payments=https://example.com/payments",)), force=False)
    file = tmp_path / "alertmanager" / "alertmanager.yml"
    labels = ["severity=critical", "component=django-health", f"owner={owner}"]
    verify = f"--verify.receivers={receiver}"
    run("amtool", "prometheus-alertmanager", "config", "routes", "test", f"--config.file={file}", verify, *labels)


def inhibited(source: str) -> set[str]:
    """Return the alerts that an alert silences."""
    names = [rule["alert"] for rule in alert_rules()]
    found: set[str] = set()
    for rule in yaml.safe_load(FILE.read_text())["inhibit_rules"]:
        if all(matches(matcher, source) for matcher in rule["source_matchers"]):
            found |= {name for name in names if all(matches(matcher, name) for matcher in rule["target_matchers"])}
    return found - {source}


def matches(matcher: str, alert: str) -> bool:
    """Tell whether a matcher on the name of alerts matches one."""
    match = re.fullmatch(r'alertname(=~|!~|=)"(.*)"', matcher)
    if match is None:
        assert matcher == 'component="django-health"'
        return True
    return bool(re.fullmatch(match[2], alert)) != (match[1] == "!~")


ONE_CHECK = {"HealthCheckWarning", "HealthCheckSlow", "HealthCheckTimingOut", "HealthCheckFlapping"}


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("HealthCheckSiteDown", None),
        ("HealthCheckJobAbsent", None),
        ("HealthCheckStale", ONE_CHECK - {"HealthCheckWarning"}),
        ("HealthCheckFailing", ONE_CHECK | {"HealthCheckFailingOnSome"}),
        ("HealthCheckFailingOnSome", ONE_CHECK),
        ("HealthCheckMostTargetsDown", {"HealthCheckTargetDown", "HealthCheckMetricsAbsent"}),
        (
            "HealthCheckEndpointFailing",
            {f"HealthCheck{name}" for name in ("EndpointFailingOnSome", "ErrorBudgetBurnFast", "ErrorBudgetBurnSlow")},
        ),
        ("HealthCheckOptionalFailing", ONE_CHECK),
        ("HealthCheckErrorBudgetBurnFast", {"HealthCheckErrorBudgetBurnSlow"}),
        ("HealthCheckTargetDown", set()),
        ("HealthCheckStuck", set()),
    ],
)
def test_inhibition__leaves_what_is_news(source: str, targets: set[str] | None) -> None:
    """An alert silences what follows from it: of a site that is down, everything; and there are such alerts."""
    everything = {rule["alert"] for rule in alert_rules()} - {"HealthCheckSiteDown", "HealthCheckJobAbsent"}
    assert inhibited(source) == (everything if targets is None else targets)
    assert inhibited(source) <= {rule["alert"] for rule in alert_rules()}


def test_inhibition__never_silences_a_page_by_a_warning() -> None:
    """What a warning silences is a warning."""
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in alert_rules()}
    for source in [name for name, severity in severities.items() if severity == "warning"]:
        assert {severities[target] for target in inhibited(source)} <= {"warning"}, source


def test_inhibition__is_within_a_site() -> None:
    """No alert of one site silences another site's."""
    for rule in yaml.safe_load(FILE.read_text())["inhibit_rules"]:
        assert rule["equal"][:2] == ["namespace", "job"]
