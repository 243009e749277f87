"""The alert rules, in the scenarios that people on call meet, by promtool of each Prometheus that there is."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import pytest

from health_check_dashboards.__main__ import write
from health_check_dashboards.options import SOURCES, options_of
from tests.support.boards import alert_rules
from tests.support.scenarios import Scenario, promtool_tests, scenarios
from tests.support.scraping import promtool_programs

STEPS = {
    1: {"scrape-interval": "1m", "evaluation-interval": "1m"},
    5: {"scrape-interval": "5m", "evaluation-interval": "5m", "gap": "16m", "burn-for": "10m"},
}
"""The options of the rules, by how many minutes are between two scrapes."""

SECONDS = 300.0
"""How long promtool may take."""

EVERY = [(source, step, labels) for source in SOURCES for step in STEPS for labels in ((), ("env",))]


def chosen(source: str, step: int, labels: tuple[str, ...]) -> list[Scenario]:
    """Return the scenarios that the same options of the rules are for."""
    return [one for one in scenarios() if source in one.sources and (one.step, one.labels) == (step, labels)]


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(("source", "step", "labels"), [one for one in EVERY if chosen(*one)])
def test_alerts__fire_when_they_should(source: str, step: int, labels: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    """At each minute those alerts fire that a scenario names, and no others."""
    options = options_of({**STEPS[step], "source": source}, labels)
    write(tmp_path, options, force=False)
    file = tmp_path / "scenarios.yml"
    rules = tmp_path / "prometheus" / "alerts.yml"
    file.write_text(json.dumps(promtool_tests(chosen(source, step, labels), source, rules, step)))
    for program in promtool_programs():
        done = subprocess.run(
            [program, "test", "rules", file], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, f"{program}\n{done.stdout[-8000:]}{done.stderr[-8000:]}"
        assert "FAILED" not in done.stdout + done.stderr


def test_scenarios__tell_of_every_alert() -> None:
    """Each alert fires in a scenario, and there are thirty scenarios and more."""
    fired = {dict(alert)["alertname"] for one in scenarios() for alert in one.firing}
    assert fired == {rule["alert"] for rule in alert_rules()}
    assert len(scenarios()) >= 30


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_scenario__is_a_story(scenario: Scenario) -> None:
    """It has a story, and says for which sources it holds."""
    assert re.match(r"[A-Z].{20,}\.$", scenario.model["story"], re.DOTALL)
    assert set(scenario.sources) <= set(SOURCES)
    assert scenario.sources
    assert scenario.model.keys() <= {"story", "sources", "targets", "checks", "optional", "probe"} | {
        "firing",
        "minutes",
        "step",
    }
