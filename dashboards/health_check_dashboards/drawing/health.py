"""The dashboard of a site: what is wrong now, how it came, and whether the machinery itself works."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from health_check_dashboards.drawing import queries, variables
from health_check_dashboards.drawing.checks import history, now
from health_check_dashboards.drawing.internals import availability, machinery, time_taken
from health_check_dashboards.drawing.panels import BLUE, RED
from health_check_dashboards.options import RUNBOOKS

UID = "django-health"


def health() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = described("Django health", UID, "The health checks of Django sites, by django-health-exporter.")
    for variable in (variables.namespace(), variables.job(), *_chosen(), variables.objective()):
        board = board.with_variable(variable)
    number = 0
    for title, panels in SECTIONS:
        number += 1
        board = board.with_row(dashboard.Row(title).id(number))
        for panel in panels():
            number += 1
            board = board.with_panel(panel.id(number))
    return board


def _chosen() -> tuple[QueryVariable, ...]:
    """Return the variables of what of a site is chosen."""
    store, endpoints, members = (f"django_health_check_{name}" for name in MEMBERS)
    return (
        variables.query("instance", "Instance", f"{store}{{{queries.SITE}}}, instance", "Scrape targets"),
        variables.query("endpoint", "Endpoint", f"{endpoints}{{{queries.HERE}}}, url_name", "Endpoints"),
        variables.query(
            "check", "Check", f"{members}{{{queries.ENDPOINTS}}}, check", "Checks of these endpoints", all_value=None
        ),
    )


MEMBERS = ("store_up", "endpoint_status", "endpoint_check_info")


def current() -> dashboard.Dashboard:
    """Return the small dashboard of what is wrong now, for a screen on a wall or a phone."""
    board = described("Django health now", "django-health-now", "What is wrong with Django sites at this moment.")
    for variable in (variables.namespace(), variables.job(), *_chosen()):
        board = board.with_variable(variable)
    for number, panel in enumerate(now(), start=1):
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
        .annotation(_annotation("Alerts", queries.FIRING, RED))
        .annotation(_annotation("Deployments", queries.DEPLOYED, BLUE))
        .link(_to_dashboards())
        .link(_to_runbook())
    )


def _annotation(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    annotation = dashboard.AnnotationQuery().name(name).datasource(variables.SOURCE)
    return annotation.expr(expr).enable(True).icon_color(color)


def _to_dashboards() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags(["django", "health"])
    return link.as_dropdown(True).keep_time(True).include_vars(False).icon("external link")


def _to_runbook() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Runbook").type(DashboardLinkType.LINK).url(RUNBOOKS).target_blank(True)
    return link.icon("doc").tooltip("What each alert means, and what to do")


SECTIONS = (
    ("Now", now),
    ("Checks and endpoints", history),
    ("Time taken", time_taken),
    ("Availability and error budget", availability),
    ("Machinery", machinery),
)
