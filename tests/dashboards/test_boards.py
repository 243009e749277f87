"""The dashboards: what Grafana's own linter asks of dashboards, and a little more."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from health_check_dashboards.drawing import __main__ as drawing
from health_check_dashboards.drawing.health import health
from health_check_dashboards.options import RUNBOOKS
from tests.support.boards import BOARDS, Target, board, grouped_labels, panels, targets, variables
from tests.support.servers import clean_environment

SOURCE = {"type": "prometheus", "uid": "${datasource}"}

OWN_UNIT = {"heatmap": lambda panel: panel["options"]["yAxis"]["unit"]}
"""Where panels of a kind have their unit, if elsewhere."""

RECORDED = "job_url_name:"

OF_SITES = ("ALERTS", RECORDED)
"""What has no instance."""

LINTED = ("stat", "timeseries", "gauge")
"""The kinds of panels whose units the linter looks at; those with value mappings need none."""

UNITS = {"none", "short", "s", "dtdurations", "percent", "percentunit", "cpm", "suffix:x"}
"""Of the units that the linter knows, those that make sense here, and multiples, for which it has none."""

PANELS = [
    pytest.param(name, panel, id=f"{name}-{number}-{panel['title']}")
    for name in BOARDS
    for number, panel in enumerate(panels(board(name)))
]
TARGETS = [
    pytest.param(name, target, id=f"{name}-{number}-{target.panel}")
    for name in BOARDS
    for number, target in enumerate(targets(board(name)))
]


def test_boards__are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """The committed JSON is what the code draws."""
    assert drawing.main(["--check"]) == 0, capsys.readouterr().err


def test_check__finds_what_is_stale(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard that would be drawn differently fails the check, which says what to run."""
    monkeypatch.setitem(drawing.BOARDS, "fleet.json", health)
    assert drawing.main(["--check"]) == 1
    assert capsys.readouterr().err == "Not up to date: fleet.json. Run: make dashboards\n"


def test_drawing__says_what_it_needs() -> None:
    """Without the SDK, the message has the command that installs the version that is used here."""
    program = "import sys; sys.modules['grafana_foundation_sdk'] = None; import health_check_dashboards.drawing"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    version = importlib.metadata.version("grafana-foundation-sdk")
    assert f"pip install 'grafana-foundation-sdk=={version}'" in done.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_board__is_of_the_schema(name: str) -> None:
    """The types of the SDK read it and write it again as it is, but for what they do not know."""
    model = board(name)
    again = json.loads(json.dumps(Dashboard.from_json(model), cls=JSONEncoder))
    assert without_queries(again) == without_queries(model)
    assert model["schemaVersion"] >= 41


def without_queries(model: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard without its queries, whose type depends on the data source."""
    annotations = [{key: one[key] for key in ("name", "enable", "iconColor")} for one in model["annotations"]["list"]]
    panels = [{**panel, "targets": None} for panel in model["panels"]]
    return {**model, "annotations": annotations, "panels": panels}


@pytest.mark.parametrize("name", BOARDS)
def test_board__has_what_every_board_has(name: str) -> None:
    """A title, a fixed id, tags, links, a description; it is not editable, refreshes, and marks alerts."""
    model = board(name)
    assert re.fullmatch(r"[a-z-]{8,40}", model["uid"])
    assert model["title"]
    assert model["description"]
    assert model["tags"] == ["django", "health"]
    assert model["editable"] is False
    assert model["refresh"] == "30s"
    assert model["timezone"] == "browser"
    assert {link["title"] for link in model["links"]} == {"Dashboards", "Runbook"}
    alerts, deployments = model["annotations"]["list"]
    assert alerts["datasource"] == deployments["datasource"] == SOURCE
    assert "ALERTS{" in alerts["expr"]
    assert "build_info{" in deployments["expr"]
    assert alerts["titleFormat"] == "{{alertname}}"
    shown = set(re.findall(r"\{\{(\w+)\}\}", deployments["titleFormat"] + deployments["textFormat"]))
    assert shown <= grouped_labels([deployments["expr"]])
    assert len({board(other)["uid"] for other in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_layout__is_a_grid(name: str) -> None:
    """Ids are unique, panels are within 24 columns, none overlaps another, and no row has a gap at its end."""
    model = board(name)
    every = model["panels"]
    ids = [panel["id"] for panel in every]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in every:
        place = panel["gridPos"]
        assert place["w"] > 0
        assert place["h"] > 0
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} overlaps {taken[x, y]}"
                taken[x, y] = panel["title"]
    tops = {panel["gridPos"]["y"] for panel in every}
    for top in tops:
        assert sum(panel["gridPos"]["w"] for panel in every if panel["gridPos"]["y"] == top) == 24


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel__explains_itself(name: str, panel: dict[str, Any]) -> None:
    """It has a title, a description that ends as a sentence, a unit, and something to say when there is nothing."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == SOURCE
    defaults = panel["fieldConfig"]["defaults"]
    assert OWN_UNIT.get(panel["type"], lambda _: defaults["unit"])(panel)
    if panel["type"] in LINTED and not defaults.get("mappings"):
        assert defaults["unit"] in UNITS
    assert len(defaults["noValue"]) > 5
    assert panel["targets"]
    names = [target["refId"] for target in panel["targets"]]
    assert len(set(names)) == len(names)
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel__names_columns_that_it_has(name: str, panel: dict[str, Any]) -> None:
    """Each column that an override is about is one that the transformations make."""
    if panel["type"] != "table":
        return
    made = {"Site"}
    for step in panel.get("transformations", []):
        names = step["options"].get("renameByName", {})
        made |= {"{rowField}\\{columnField}".format_map(step["options"])} if "rowField" in step["options"] else set()
        made |= {*names.values(), step["options"].get("stringField")}
        queries = {f"Value #{target['refId']}" for target in panel["targets"]}
        assert {column for column in names if column.startswith("Value #")} <= queries
    own = {override["matcher"]["options"] for override in panel["fieldConfig"].get("overrides", [])}
    assert own - SHARED_COLUMNS <= made


SHARED_COLUMNS = {
    "In this state for",
    "Last success",
    "Last run",
    "Time taken",
    "Uptime",
    "Endpoints",
    "Critical",
    "State",
}
"""What tables of checks are formatted by, whether they have them or not."""


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_target__selects_by_the_variables(name: str, target: Target) -> None:
    """Each series is selected by job, and by instance where it has one."""
    for metric, matchers in re.findall(r"\b([a-zA-Z_][\w:]*)\{([^{}]*)\}", target.expr):
        assert 'namespace=~"$namespace", job=~"$job"' in matchers
        if name == "health" and not metric.startswith(OF_SITES) and "[$__range]))" not in target.expr:
            assert 'instance=~"$instance"' in matchers
    known = {variable["name"] for variable in variables(board(name))} | {"__range", "__rate_interval"}
    assert set(re.findall(r"\$([a-zA-Z_]\w*)", target.expr)) <= known


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_target__counts_nothing_twice(name: str, target: Target) -> None:
    """Instances are aggregated by ``max`` or ``min``; only then is anything added up or counted."""
    for function, inner in re.findall(r"\b(sum|count|avg)\b(?: by \([^)]*\))? \((\w+)", target.expr):
        least = ("max", "min", "up", "count", "last_over_time", "avg", "increase")
        assert inner in least or "up{" in target.expr or inner.startswith("django"), function
    if re.search(r"\bsum\b", target.expr):
        assert re.search(r"\bsum(?: by \([\w, ]+\))? ?\(max by \(namespace, job, check", target.expr)
    assert (
        "job" in grouped_labels([target.expr])
        or RECORDED in target.expr
        or "up{" in target.expr
        or "scrape_" in target.expr
    )


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_target__looks_over_enough_runs(name: str, target: Target) -> None:
    """Rates, of all counters, are over ``$__rate_interval``, in panels whose steps hold runs; all else over others."""
    for place in re.finditer(r"\w+_total\{", target.expr):
        assert re.search(r"\b(rate|irate|increase)\($", target.expr[: place.start()])
    if re.search(r"\b(rate|increase)\(", target.expr):
        assert "[$__rate_interval]" in target.expr
        assert target.interval >= 300
    else:
        assert "$__rate_interval" not in target.expr
        assert set(re.findall(r"\[([^\]]*)\]", target.expr)) <= {"$__range", "30d"}


@pytest.mark.parametrize("name", BOARDS)
def test_variables__are_chosen_from_data(name: str) -> None:
    """The data source comes first; queries ask it, anew for each range, and offer several values and all of them."""
    source, *others = variables(board(name))
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")
    for variable in others:
        assert variable["label"]
        assert variable["description"]
        if variable["type"] == "query":
            assert variable["datasource"] == SOURCE
            assert (variable["multi"], variable["includeAll"], variable["refresh"]) == (True, True, 2)
            assert variable["current"] == {"text": ["All"], "value": ["$__all"]}
            assert re.fullmatch(r"label_values\(\w+(\{.*\})?, \w+\)", variable["query"]["query"])
        if variable["name"] in ("job", "instance"):  # as template-job-rule and template-instance-rule have it
            assert (variable["label"], variable["allValue"]) == (variable["name"].title(), ".+")
    names = [variable["name"] for variable in others]
    expected = ["namespace", "job", "instance", "endpoint", "check", "objective"]
    assert names == expected[: {"health": 6, "now": 5, "fleet": 2}[name]]


def test_links__lead_to_the_other_board() -> None:
    """Links between dashboards lead to the one of a site, and choose in it what the row is about, encoded."""
    links = re.findall(r'"(/d/[^"]+)"', json.dumps([board(name) for name in BOARDS]))
    known = {f"var-{variable['name']}" for variable in variables(board("health"))}
    assert len(links) > 4
    for link in links:
        path, _, query = link.partition("?")
        assert path == f"/d/{board('health')['uid']}"
        *chosen, time_range = query.split("&")
        assert time_range == "${__url_time_range}"
        for pair in chosen:
            name, _, value = pair.partition("=")
            assert name in known if value else re.fullmatch(r"\$\{(namespace|job):queryparam\}", name)
            assert not value or value.endswith(":percentencode}")


def test_alerts__lead_to_their_sections() -> None:
    """An alert leads to its anchor in the runbook, which has the name in small letters; a check to its own runbook."""
    text = json.dumps(board("now"))
    assert f'"{RUNBOOKS}#${{__data.fields.anchor}}"' in text
    (panel,) = [one for one in panels(board("now")) if one["title"] == "Firing alerts"]
    assert {"id": "formatString", "options": {"stringField": "anchor", "outputFormat": "Lower Case"}} in (
        panel["transformations"]
    )
    assert '"anchor", "$1", "alertname"' in panel["targets"][0]["expr"]


def test_exemplars__are_asked_for_where_they_are() -> None:
    """Of the histogram, in the panels on time taken."""
    asked = [
        target["expr"] for panel in panels(board("health")) for target in panel["targets"] if target.get("exemplar")
    ]
    assert len(asked) == 2
    assert all("duration_seconds_bucket" in expression for expression in asked)
