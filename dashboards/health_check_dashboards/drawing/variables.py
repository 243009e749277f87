"""The variables of the dashboards."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from health_check_dashboards.options import DEFAULTS

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The data source of every query."""


def datasource() -> DatasourceVariable:
    """Return the variable of the Prometheus to ask."""
    return DatasourceVariable("datasource").label("Data source").type("prometheus")


def query(name: str, label: str, selector: str, text: str, *, all_value: str | None = ".+") -> QueryVariable:
    """Return a variable of the values of a label.

    Args:
        name: Its name.
        label: How it is shown.
        selector: The series, and after a comma the label.
        text: What it is.
        all_value: The regular expression of all; None lists the values that there are.
    """
    variable = (
        QueryVariable(name)
        .label(label)
        .description(text)
        .datasource(SOURCE)
        .query({"query": f"label_values({selector})", "refId": f"variable-{name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(VariableOption(text=["All"], value=["$__all"]))
    )
    return variable.all_value(all_value) if all_value else variable


def namespace() -> QueryVariable:
    """Return the variable of the namespaces; outside of Kubernetes there is none, and all is chosen."""
    selector = "django_health_check_store_up, namespace"
    return query("namespace", "Namespace", selector, "Namespaces of Kubernetes", all_value=".*")


def job() -> QueryVariable:
    """Return the variable of the sites."""
    return query(
        "job", "Job", 'django_health_check_store_up{namespace=~"$namespace"}, job', "Sites, as Prometheus calls them"
    )


def objective() -> TextBoxVariable:
    """Return the variable of what is aimed at."""
    value = DEFAULTS["objective"]
    return (
        TextBoxVariable("objective")
        .label("Objective, %")
        .description("The percentage of the time in which an endpoint is to answer 200, as in the alert rules")
        .default_value(value)
        .current(VariableOption(text=value, value=value))
    )
