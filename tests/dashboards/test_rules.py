"""The alerting and recording rules, by promtool and by what alert rules should be like."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from tests.support.boards import PACKAGE, alert_rules, rules
from tests.support.services import require, verify

FILE = PACKAGE / "prometheus" / "alerts.yml"
RUNBOOK = pathlib.Path(__file__).parents[2] / "docs" / "alerts.md"

ALERTS = [pytest.param(rule, id=rule["alert"]) for rule in alert_rules()]


def test_rules__are_proper() -> None:
    """The rules can be read, and none is there twice."""
    verify(require("promtool", package="prometheus"), "check", "rules", "--lint=all", "--lint-fatal", FILE)


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__says_what_to_do(rule: dict[str, Any]) -> None:
    """It has a name under our prefix, texts that name what it is about, links, and a section in the runbook."""
    assert re.fullmatch(r"HealthCheck([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"].keys() == {"severity", "component"}
    assert rule["labels"]["component"] == "django-health"
    assert rule["labels"]["severity"] in ("critical", "warning")
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url", "dashboard_url", "health_url"}
    assert re.search(r"\{\{ \$labels\.(job|instance) \}\}", annotations["summary"])
    assert "{{ $labels.job }}" in annotations["description"]
    assert f"/alerts/#{rule['alert'].lower()}" in annotations["runbook_url"]
    text = RUNBOOK.read_text().partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]
    for part in ("**Means.**", "**Look closer.**", "**Silence.**"):
        assert part in text, f"{rule['alert']}: {part}"


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__outlasts_a_missed_scrape(rule: dict[str, Any]) -> None:
    """It stands on what is bridged over a while, and goes on for a while; but where being missed is the point."""
    if re.search("Down$|JobAbsent|BurnFast", rule["alert"]) and rule["alert"] != "HealthCheckStoreDown":
        assert "for" in rule
        return
    assert rule["keep_firing_for"] == "5m"
    assert re.search(r"_over_time\(|resets\(|increase\(|:avg|:hosts|:share", rule["expr"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rule__counts_nothing_twice(rule: dict[str, Any]) -> None:
    """It aggregates by site, adds nothing up, stands on ``state``, not on ``status``, and names the job."""
    expression = rule["expr"]
    assert not re.search(r"\b(sum|avg)\s*(by|without|\()", expression)
    assert "django_health_check_status" not in expression
    for clause in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert clause.startswith("namespace, job") or clause == "job"
    assert "without" not in expression
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        assert matchers.startswith('job="django')


@pytest.mark.parametrize("rule", ALERTS)
def test_alert__is_joined_with_the_targets_that_there_are(rule: dict[str, Any]) -> None:
    """What a target said that is gone is none of it: each alert on scraped metrics joins those that are there."""
    expression = rule["expr"]
    assert re.search(r"instance:django_health_check_target:|:hosts|:share|job_url_name:|probe_success", expression)


def test_check_alerts__have_owners() -> None:
    """Each alert on a check has the tags and the runbook of that check, by a join that cannot fail."""
    by_check = [rule for rule in alert_rules() if "$labels.check" in rule["annotations"]["summary"]]
    assert len(by_check) > 8
    for rule in by_check:
        owner = "* on (namespace, job, check) group_left (owner, tier, runbook) check:django_health_check_info:owner{"
        assert owner in rule["expr"]
        assert rule["annotations"]["runbook_url"].startswith("{{ with $labels.runbook }}{{ . }}{{ else }}")


def test_runbook__has_no_section_of_another_alert() -> None:
    """Each section on an alert is on one that there is."""
    sections = re.findall(r"^## (HealthCheck\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in alert_rules()]
