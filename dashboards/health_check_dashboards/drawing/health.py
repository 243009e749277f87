"""The dashboard of a site: what is wrong now, how it came, and whether the machinery itself works."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from health_check_dashboards.drawing import queries, variables
from health_check_dashboards.drawing.checks import history, now
from health_check_dashboards.drawing.internals import availability, machinery, time_taken
from health_check_dashboards.drawing.panels import RED
from health_check_dashboards.options import RUNBOOKS

UID = "django-health"


def health() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = described("Django health", UID, "The health checks of Django sites, by django-health-exporter.")
    for variable in (
        variables.namespace(),
        variables.job(),
        variables.query(
            "instance", "Instance", f"django_health_check_store_up{{{queries.SITE}}}, instance", "Scrape targets"
        ),
        variables.query(
            "endpoint", "Endpoint", f"django_health_check_endpoint_status{{{queries.HERE}}}, url_name", "Endpoints"
        ),
        variables.query(
            "check",
            "Check",
            f"django_health_check_endpoint_check_info{{{queries.ENDPOINTS}}}, check",
            "Checks of these endpoints",
            all_value=None,
        ),
        variables.objective(),
    ):
        board = board.with_variable(variable)
    number = 0
    for title, panels in SECTIONS:
        number += 1
        board = board.with_row(dashboard.Row(title).id(number))
        for panel in panels():
            number += 1
            board = board.with_panel(panel.id(number))
    return board


def described(title: str, uid: str, text: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, that has what ours share."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["django", "health"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(variables.datasource())
        .annotation(
            dashboard.AnnotationQuery()
            .name("Alerts")
            .datasource(variables.SOURCE)
            .expr(queries.FIRING)
            .enable(True)
            .icon_color(RED)
        )
        .link(
            dashboard.DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["django", "health"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(False)
            .icon("external link")
        )
        .link(
            dashboard.DashboardLink("Runbook")
            .type(DashboardLinkType.LINK)
            .url(RUNBOOKS)
            .target_blank(True)
            .icon("doc")
            .tooltip("What each alert means, and what to do")
        )
    )


SECTIONS = (
    ("Now", now),
    ("Checks and endpoints", history),
    ("Time taken", time_taken),
    ("Availability and error budget", availability),
    ("Machinery", machinery),
)
