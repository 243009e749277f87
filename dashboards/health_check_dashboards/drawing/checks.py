"""The sections of the dashboard on checks and endpoints: how they are, and how they were."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import TableColoredBackgroundCellOptions
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from health_check_dashboards.drawing import queries
from health_check_dashboards.drawing.panels import (
    ANSWER,
    COLORED,
    GREEN,
    GREY,
    NO_CHECK,
    NO_ENDPOINT,
    PURPLE,
    RED,
    SEVERITY,
    YELLOW,
    Drawn,
    Query,
    column,
    mapping,
    renamed,
    rows,
    stats,
    thresholds,
    timeline,
    transformed,
)
from health_check_dashboards.options import HEALTH_PAGE, RUNBOOKS

SITE_LABELS = {"namespace": "Namespace", "job": "Job"}

SITE_OF_ROW = "var-namespace=${__data.fields.Namespace:percentencode}&var-job=${__data.fields.Job:percentencode}&"
SITES_CHOSEN = "${namespace:queryparam}&${job:queryparam}&"


def to_check(site: str) -> dict[str, object]:
    """Return the link to the dashboard of a site that shows the check of the cell alone."""
    check = "var-check=${__value.raw:percentencode}&${__url_time_range}"
    return {"title": "This check alone", "url": f"/d/django-health?{site}{check}"}


TO_INSTANCE = {"title": "Its health page", "url": HEALTH_PAGE, "targetBlank": True}
TO_RUNBOOK = {
    "title": "What it means, and what to do",
    "url": f"{RUNBOOKS}#${{__data.fields.anchor}}",
    "targetBlank": True,
}
TO_OWN_RUNBOOK = {"title": "What to do", "url": "${__value.raw:raw}", "targetBlank": True}


def now() -> Iterator[Drawn]:
    """Yield the panels of what is wrong now."""
    numbers = stats(
        "Checks",
        "How many checks are in each state. A check that several instances know counts once, as the worst of them.",
        *(
            Query(expr=queries.number_in(state), legend=state, name=state)
            for state in ("error", "unknown", "warning", "ok")
        ),
        size=(10, 4),
        empty=NO_CHECK,
    )
    for state, color in (("error", RED), ("unknown", PURPLE), ("warning", YELLOW)):
        numbers = numbers.override_by_name(state, _background_above_zero(color))
    yield numbers.thresholds(thresholds((None, GREEN)))
    yield (
        stats(
            "Endpoints",
            "Whether each endpoint answers 200 on all instances; a drained host does not.",
            Query(expr=queries.ENDPOINT_STATUS, legend="{{url_name}} {{job}} {{namespace}}"),
            size=(8, 4),
            empty=NO_ENDPOINT,
        )
        .mappings(ANSWER)
        .thresholds(thresholds((None, RED), (1, GREEN)))
    )
    targets = stats(
        "Targets",
        "How many targets Prometheus can scrape, and cannot. Without them, all other panels show the past.",
        Query(expr=queries.TARGETS_UP, legend="up", name="up"),
        Query(expr=queries.TARGETS_DOWN, legend="down", name="down"),
        size=(6, 4),
        empty="No target",
    )
    yield targets.thresholds(thresholds((None, GREEN))).override_by_name("down", _background_above_zero(RED))
    yield _wrong()
    yield _alerts()


def _background_above_zero(color: str) -> list[DynamicConfigValue]:
    return [DynamicConfigValue(id_val="thresholds", value=thresholds((None, GREY), (1, color)).build())]


def _wrong() -> table.Panel:
    panel = rows(
        "What is wrong now",
        "Checks that are warning, unknown or in error, on whichever instance is worst.",
        Query(expr=queries.NOT_OK, name="state"),
        Query(expr=f"{queries.age('last_transition_timestamp_seconds')} and {queries.NOT_OK}", name="for"),
        Query(expr=f"{queries.IS_CRITICAL} and {queries.NOT_OK}", name="critical"),
        size=(14, 8),
        empty="Nothing is wrong with what is known",
    )
    return _check_columns(
        transformed(
            panel,
            ("merge", {}),
            renamed(
                {
                    "check": "Check",
                    **SITE_LABELS,
                    "Value #state": "State",
                    "Value #for": "In this state for",
                    "Value #critical": "Critical",
                }
            ),
        )
    )


def _alerts() -> table.Panel:
    panel = rows(
        "Firing alerts",
        "The alerts of this package that fire. Which of them are silenced only Alertmanager knows.",
        Query(expr=queries.FIRING_ROWS, name="alerts"),
        size=(10, 8),
        empty="No alert fires",
    )
    names = {
        "severity": "Severity",
        "alertname": "Alert",
        "check": "Check",
        "url_name": "Endpoint",
        "instance": "Instance",
        **SITE_LABELS,
        "runbook": "Runbook",
    }
    lower = {"stringField": "anchor", "outputFormat": "Lower Case"}  # as anchors of pages are
    panel = transformed(panel, ("formatString", dict(lower)), renamed(names, without=["Value"]))
    panel = column(panel, "anchor", custom__hidden=True)
    panel = column(panel, "Runbook", links=[TO_OWN_RUNBOOK])
    severities = mapping({"critical": ("critical", RED), "warning": ("warning", YELLOW)})
    panel = column(panel, "Alert", links=[TO_RUNBOOK])
    panel = column(panel, "Check", links=[to_check(SITE_OF_ROW)])
    panel = column(panel, "Instance", links=[TO_INSTANCE])
    return column(panel, "Severity", mappings=severities, custom__cellOptions=COLORED, custom__width=90)


def history() -> Iterator[Drawn]:
    """Yield the panels of how things were."""
    yield timeline(
        "Checks",
        "The state of each check, on whichever instance is worst.",
        Query(expr=queries.CHECK_SEVERITY, legend="{{check}} {{job}} {{namespace}}"),
        size=(24, 9),
        values=SEVERITY,
        empty=NO_CHECK,
    )
    yield timeline(
        "Endpoints",
        "Whether each endpoint answers 200 on all instances.",
        Query(expr=queries.ENDPOINT_STATUS, legend="{{url_name}} {{job}} {{namespace}}"),
        size=(24, 5),
        values=ANSWER,
        empty=NO_ENDPOINT,
    )
    yield _check_columns(_every_check())
    yield _grid()


def _grid() -> table.Panel:
    panel = rows(
        "Checks by instances",
        "The state of each check on each instance. Empty: the instance has no such check.",
        Query(expr=queries.GRID, name="state"),
        size=(24, 9),
        empty=NO_CHECK,
    )
    panel = panel.mappings(SEVERITY).cell_options(TableColoredBackgroundCellOptions())
    grid = {"columnField": "instance", "rowField": "check", "valueField": "Value", "emptyValue": "null"}
    panel = transformed(panel, ("groupingToMatrix", dict(grid)))
    plain, link = {"type": "auto"}, to_check(SITES_CHOSEN)
    return column(panel, "check\\instance", displayName="Check", mappings=[], custom__cellOptions=plain, links=[link])


def _every_check() -> table.Panel:
    columns = {
        "state": ("State", queries.CHECK_SEVERITY),
        "taken": ("Time taken", queries.TIME_TAKEN),
        "for": ("In this state for", queries.age("last_transition_timestamp_seconds")),
        "success": ("Last success", queries.age("last_success_timestamp_seconds")),
        "run": ("Last run", queries.age("last_run_timestamp_seconds")),
        "uptime": ("Uptime", queries.UPTIME),
        "flaps": ("Flaps", queries.FLAPS),
        "endpoints": ("Endpoints", queries.ENDPOINT_COUNT),
        "critical": ("Critical", queries.IS_CRITICAL),
    }
    panel = rows(
        "All checks",
        "Each check now, and over the range: the share of the time in which it was ok on its worst instance, and how"
        " often it ceased to be.",
        *(Query(expr=expr, name=name) for name, (_, expr) in columns.items()),
        size=(24, 10),
        empty=NO_CHECK,
    )
    names = {"check": "Check", **SITE_LABELS, **{f"Value #{name}": title for name, (title, _) in columns.items()}}
    panel = transformed(panel, ("merge", {}), renamed(names))
    return panel.sort_by([common.TableSortByFieldState().display_name("State").desc(True)])


def _check_columns(panel: table.Panel) -> table.Panel:
    panel = column(panel, "Check", links=[to_check(SITE_OF_ROW)])
    panel = column(panel, "State", mappings=SEVERITY, custom__cellOptions=COLORED, custom__width=100)
    for name in ("In this state for", "Last success", "Last run"):
        panel = column(panel, name, unit="dtdurations", decimals=0)
    panel = column(panel, "Time taken", unit="s", decimals=3)
    panel = column(panel, "Uptime", unit="percentunit", decimals=2)
    panel = column(panel, "Endpoints", custom__width=100)
    yes_or_no = mapping({"1": ("yes", YELLOW), "0": ("no", GREY)})
    return column(panel, "Critical", mappings=yes_or_no, custom__width=90)
