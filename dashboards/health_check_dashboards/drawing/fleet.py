"""The dashboard of a fleet: sites by checks, and sites by endpoints."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard, statetimeline, table
from grafana_foundation_sdk.models.common import TableColoredBackgroundCellOptions

from health_check_dashboards.drawing import queries, variables
from health_check_dashboards.drawing.health import UID as HEALTH_UID
from health_check_dashboards.drawing.health import described
from health_check_dashboards.drawing.panels import (
    ANSWER,
    COLORED,
    GREEN,
    RED,
    SEVERITY,
    Drawn,
    Query,
    column,
    renamed,
    rows,
    thresholds,
    timeline,
    transformed,
)

UID = "django-health-fleet"

NO_SITE = "No site is known: is health_check_prometheus in INSTALLED_APPS, and the site scraped?"

CHECKS = queries.severity(queries.SITE, queries.BY_CHECK)
SITES = queries.severity(queries.SITE, "by (namespace, job)")
ENDPOINTS = f"min {queries.BY_ENDPOINT} (django_health_check_endpoint_status{{{queries.SITE}}})"


def fleet() -> dashboard.Dashboard:
    """Return the dashboard."""
    board = described("Django health of all sites", UID, "Which site has which check in which state.")
    board = board.with_variable(variables.namespace()).with_variable(variables.job())
    panels: tuple[Drawn, ...] = (_sites(), _checks(), _endpoints(), _states())
    for number, panel in enumerate(panels, start=1):
        board = board.with_panel(panel.id(number))
    return board


def _sites() -> table.Panel:
    columns = {
        "state": ("Worst check", SITES),
        "up": ("Targets up", f"count by (namespace, job) (up{{{queries.SITE}}} == 1)"),
        "targets": ("Targets", f"count by (namespace, job) (up{{{queries.SITE}}})"),
        "failing": ("Endpoints failing", f"count by (namespace, job) ({ENDPOINTS} == 0)"),
        "wrong": ("Checks not ok", f"count by (namespace, job) ({CHECKS} > 0)"),
        "alerts": ("Alerts", f"count by (namespace, job) ({queries.FIRING})"),
    }
    panel = rows(
        "Sites",
        "Each site; what a site has none of stays empty.",
        *(
            Query(expr=f"{expr} and on (namespace, job) {queries.KNOWN}", name=name)
            for name, (_, expr) in columns.items()
        ),
        size=(24, 8),
        empty=NO_SITE,
    )
    names = {
        "job": "Site",
        "namespace": "Namespace",
        **{f"Value #{name}": title for name, (title, _) in columns.items()},
    }
    panel = transformed(panel, ("merge", {}), renamed(names))
    panel = column(panel, "Worst check", mappings=SEVERITY, custom__cellOptions=COLORED)
    for name in ("Endpoints failing", "Checks not ok", "Alerts"):
        steps = thresholds((None, GREEN), (1, RED)).build()
        panel = column(panel, name, thresholds=steps, custom__cellOptions={"type": "color-text"})
    return column(panel, "Site", links=[LINK])


LINK = {
    "title": "The health of this site",
    "url": f"/d/{HEALTH_UID}?var-namespace=${{__data.fields.Namespace:percentencode}}"
    "&var-job=${__value.raw:percentencode}&${__url_time_range}",
}


def _checks() -> table.Panel:
    panel = rows(
        "Sites by checks",
        "The state of each check of each site, on whichever instance is worst. Empty: the site has no such check.",
        Query(expr=queries.by_site(CHECKS), name="state"),
        size=(24, 10),
        empty=NO_SITE,
    )
    return _matrix(panel.mappings(SEVERITY), "check")


def _endpoints() -> table.Panel:
    panel = rows(
        "Sites by endpoints",
        "Whether each endpoint of each site answers 200 on all instances.",
        Query(expr=queries.by_site(ENDPOINTS), name="status"),
        size=(24, 8),
        empty=NO_SITE,
    )
    return _matrix(panel.mappings(ANSWER), "url_name")


def _matrix(panel: table.Panel, column_field: str) -> table.Panel:
    options: dict[str, object] = {
        "columnField": column_field,
        "rowField": "site",
        "valueField": "Value",
        "emptyValue": "null",
    }
    panel = transformed(panel, ("groupingToMatrix", options)).cell_options(TableColoredBackgroundCellOptions())
    site = f"site\\{column_field}"
    return column(panel, site, displayName="Site", mappings=[], custom__cellOptions={"type": "auto"})


def _states() -> statetimeline.Panel:
    return timeline(
        "Sites over time",
        "The worst state of any check of each site.",
        Query(expr=SITES, legend="{{job}} {{namespace}}"),
        size=(24, 8),
        values=SEVERITY,
        empty=NO_SITE,
    )
