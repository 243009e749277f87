"""The alerting and recording rules, by promtool and by what alert rules should be like."""

from __future__ import annotations

import pathlib
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.boards import PACKAGE, alert_rules, rules
from tests.support.services import require

FILE = PACKAGE / "prometheus" / "alerts.yml"
TESTS = sorted((pathlib.Path(__file__).parent / "rules").glob("*.yml"))
RUNBOOK = pathlib.Path(__file__).parents[2] / "docs" / "alerts.md"

ALERTS = [pytest.param(rule, id=rule["alert"]) for rule in alert_rules()]

MEASURES = ("ALERTS", "job_url_name:", "up", "probe_success")


def promtool(*arguments: str | pathlib.Path) -> None:
    """Run promtool, which has to be content."""
    command = [require("promtool", package="prometheus"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr


def written_test(alert: str) -> dict[str, Any]:
    """Return the promtool test of an alert."""
    found: list[dict[str, Any]] = [
        test for file in TESTS for test in yaml.safe_load(file.read_text())["tests"] if test["name"] == alert
    ]
    (test,) = found
    return test


def test_rules__are_proper() -> None:
    """The rules can be read, and none is there twice."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", FILE)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules__pass_their_tests(file: pathlib.Path) -> None:
    """Each alert fires and does not, as its test says."""
    promtool("test", "rules", file)


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__is_tested(rule: dict[str, Any]) -> None:
    """Its test sees it silent, firing with all its text, through missed scrapes, not for a near miss, and resolved."""
    test = written_test(rule["alert"])
    assert any(case["exp_alerts"] == [] for case in test["alert_rule_test"])
    assert any(case["exp_alerts"] for case in test["alert_rule_test"])
    assert any(re.search(r"\bstale\b|_", str(series["values"])) for series in test["input_series"])
    if rule["alert"] == "HealthCheckJobAbsent":  # the series of its test have no names
        return
    fired = [{sample["labels"] for sample in case["exp_samples"]} for case in test["promql_expr_test"]]
    assert any("Mends" in label for label in fired[0])
    assert not any("Mends" in label for label in fired[-1])
    for labels in fired:
        assert any("Gappy" in label for label in labels)
        assert not any("Brief" in label for label in labels)
    assert any('"Brief"' in series["series"] for series in test["input_series"])


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__says_what_to_do(rule: dict[str, Any]) -> None:
    """It has a name under our prefix, a severity, a static summary, a description, and a section in the runbook."""
    assert re.fullmatch(r"HealthCheck([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert "{{" not in annotations["summary"]
    assert "{{ $labels.job }}" in annotations["description"]
    assert annotations["runbook_url"].endswith(f"/alerts.md#{rule['alert'].lower()}")
    text = RUNBOOK.read_text().partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]
    for part in ("**Means.**", "**Look closer.**", "**Silence.**"):
        assert part in text, f"{rule['alert']}: {part}"


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__outlasts_a_missed_scrape(rule: dict[str, Any]) -> None:
    """It stands on what is bridged over a while, and goes on for a while; but where being missed is the point."""
    if rule["alert"] in ("HealthCheckSiteDown", "HealthCheckTargetDown", "HealthCheckJobAbsent"):
        assert "for" in rule
        return
    assert rule["keep_firing_for"] == "5m"
    assert re.search(r"_over_time\(|resets\(|increase\(|:avg", rule["expr"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rule__counts_nothing_twice(rule: dict[str, Any]) -> None:
    """It aggregates by site, with ``max`` or ``min``, stands on ``state`` and not on ``status``, and names the job."""
    expression = rule["expr"]
    assert not re.search(r"\b(sum|avg|count)\s*(by|without|\()", expression)
    assert "django_health_check_status" not in expression
    for clause in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert clause.startswith("namespace, job")
    assert "without" not in expression
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        assert matchers.startswith('job="django')


def test_runbook__has_no_section_of_another_alert() -> None:
    """Each section on an alert is on one that there is."""
    sections = re.findall(r"^## (HealthCheck\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in alert_rules()]
