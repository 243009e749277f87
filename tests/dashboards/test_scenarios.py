"""The alert rules, in the scenarios that people on call meet, by promtool of each Prometheus that there is."""

from __future__ import annotations

import json
import pathlib
import re

import pytest

from health_check_dashboards.__main__ import write
from health_check_dashboards.options import OTLP, SOURCES, Options, options_of
from tests.support.boards import alert_rules
from tests.support.repetitions import LONG, long
from tests.support.scenarios import Scenario, promtool_tests, scenarios
from tests.support.scraping import promtool_programs
from tests.support.services import verify
from tests.support.victoria import victoria_program

STEPS = {
    1: {"scrape-interval": "1m", "evaluation-interval": "1m"},
    5: {"scrape-interval": "5m", "evaluation-interval": "5m", "gap": "16m", "burn-for": "10m"},
}
"""The options of the rules, by how many minutes are between two scrapes."""

SECONDS = 300.0
"""How long one of the programs may take."""

EVERY = [(source, step, labels) for source in (*SOURCES, OTLP) for step in STEPS for labels in ((), ("env",))]


def chosen(source: str, step: int, labels: tuple[str, ...]) -> list[Scenario]:
    """Return the scenarios that the same options of the rules are for."""
    return [one for one in scenarios() if source in one.sources and (one.step, one.labels) == (step, labels)]


def options_for(source: str, step: int, labels: tuple[str, ...]) -> Options:
    """Return the options of the rules."""
    how = {"metrics": OTLP, "export-interval": f"{step}m"} if source == OTLP else {"source": source}
    return options_of({**STEPS[step], **how}, labels)


SELDOM = {"GOGC": "400"}
"""Has programs spend less time on freeing memory, which else takes a third of it."""


def scenario_file(
    folder: pathlib.Path, options: Options, tests: list[Scenario], source: str, step: int
) -> pathlib.Path:
    """Write the rules of a site, and scenarios of them as promtool reads those; return the file."""
    write(folder, options, force=False)
    file = folder / "scenarios.yml"
    file.write_text(json.dumps(promtool_tests(tests, source, folder / "prometheus" / "alerts.yml", step)))
    return file


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    ("source", "step", "labels"), [long(*one) if one[:2] == (OTLP, 5) else one for one in EVERY if chosen(*one)]
)
def test_alerts__fire_when_they_should(source: str, step: int, labels: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    """At each minute those alerts fire that a scenario names, and no others."""
    tests = chosen(source, step, labels)
    file = scenario_file(tmp_path, options_for(source, step, labels), tests, source, step)
    programs = promtool_programs()
    chosen_ones = programs[:1] if (source, step) == ("scrape", 1) else programs[-1:]
    for program in programs if LONG else chosen_ones:
        verify(program, "test", "rules", file, seconds=SECONDS, environment=SELDOM)


@pytest.mark.timeout(SECONDS)
@pytest.mark.long
@pytest.mark.parametrize("source", ["scrape", OTLP])
@pytest.mark.parametrize("labels", [(), ("env",)])
def test_alerts__fire_when_they_should_by_vmalert(source: str, labels: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    """VictoriaMetrics evaluates the same rules as Prometheus does, with the names of either kind.

    It sees what a rule records one evaluation later: scenarios with steps of five minutes are beyond its lookback.
    """
    program = victoria_program("vmalert-tool")
    found = [one for one in chosen(source, 1, labels) if one.model.get("vmalert", True)]
    file = scenario_file(tmp_path, options_for(source, 1, labels), found, source, 1)
    file.write_text(file.read_text().replace("promql_expr_test", "metricsql_expr_test"))
    verify(program, "unittest", "--disableAlertgroupLabel", f"--files={file}", seconds=SECONDS, environment=SELDOM)


def test_scenarios__tell_of_every_alert() -> None:
    """Each alert fires in a scenario, and there are thirty scenarios and more; of OTLP, too."""
    for source, least in (("scrape", 30), (OTLP, 30)):
        found = [one for one in scenarios() if source in one.sources]
        fired = {dict(alert)["alertname"] for one in found for alert in one.firing(source)}
        rules = {rule["alert"] for rule in alert_rules(options_for(source, 1, ()))}
        assert rules - fired <= {"HealthCheckFrozen"}
        assert len(found) >= least
    assert any("Frozen" in str(one.firing("push")) for one in scenarios())


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_scenario__is_a_story(scenario: Scenario) -> None:
    """It has a story, and says for which sources it holds."""
    assert re.match(r"[A-Z].{20,}\.$", scenario.model["story"], re.DOTALL)
    assert set(scenario.sources) <= {*SOURCES, OTLP}
    assert scenario.sources
    assert scenario.model.keys() <= {"story", "sources", "targets", "checks", "optional", "probe"} | {
        "firing",
        "firing otlp",
        "minutes",
        "step",
        "vmalert",
    }
