"""The sections of the dashboard on time taken, error budgets, and what keeps the checks running."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode

from health_check_dashboards.drawing import queries
from health_check_dashboards.drawing.panels import (
    GREEN,
    NO_CHECK,
    NO_RECORD,
    RED,
    YELLOW,
    Drawn,
    Query,
    buckets,
    graph,
    mapping,
    stats,
    thresholds,
    timeline,
)


def time_taken() -> Iterator[Drawn]:
    """Yield the panels of how long checks take."""
    yield graph(
        "Time taken, p50 and p95",
        "Below these times stayed half of the runs, and 95 percent of them, on the slowest instance. Exemplars lead to"
        " traces.",
        Query(expr=queries.quantile("0.5"), legend="{{check}} p50 {{job}} {{namespace}}", name="p50"),
        Query(expr=queries.quantile("0.95"), legend="{{check}} p95 {{job}} {{namespace}}", name="p95", exemplars=True),
        size=(12, 9),
        unit="s",
        empty="No run in this time",
        of_runs=True,
    )
    yield buckets(
        "Runs by duration",
        "How many runs took how long. Exemplars lead to traces.",
        Query(expr=queries.RUNS_BY_DURATION, legend="{{le}}", exemplars=True),
        size=(12, 9),
        empty="No run in this time",
    )
    yield (
        graph(
            "Share of the time budget",
            "How much of its time budget the last run of each check took. At 100% it is cut short, and in error.",
            Query(expr=queries.BUDGET_SHARE, legend="{{check}} {{job}} {{namespace}}"),
            size=(24, 7),
            unit="percentunit",
            empty=NO_CHECK,
        )
        .thresholds(thresholds((None, GREEN), (0.5, YELLOW), (1, RED)))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    )


def availability() -> Iterator[Drawn]:
    """Yield the panels of the error budget."""
    yield (
        stats(
            "Availability",
            "The share of 30 days in which each endpoint answered 200 on some target. A site that is down counts as"
            " failing. Red is below the objective.",
            Query(expr=queries.AVAILABILITY, legend="{{url_name}} {{job}} {{namespace}}"),
            size=(8, 7),
            unit="percentunit",
            empty=NO_RECORD,
        )
        .decimals(3)
        .thresholds(thresholds((None, RED), (0.995, YELLOW), (0.99625, GREEN)))
    )
    yield (
        stats(
            "Error budget left",
            "Which share of the failures that the objective allows in 30 days is left. Below 0 it is missed.",
            Query(expr=queries.BUDGET_LEFT, legend="{{url_name}} {{job}} {{namespace}}"),
            size=(8, 7),
            unit="percentunit",
            empty=NO_RECORD,
        )
        .decimals(1)
        .thresholds(thresholds((None, RED), (0, YELLOW), (0.25, GREEN)))
    )
    yield (
        graph(
            "Burn rate",
            "How many times faster than allowed the error budget is spent, over an hour each. At 14.4, the budget of 30"
            " days is gone in two, and HealthCheckErrorBudgetBurnFast fires; at 6, in five.",
            Query(expr=queries.BURN_RATE, legend="{{url_name}} {{job}} {{namespace}}"),
            size=(8, 7),
            unit="suffix:x",
            empty=NO_RECORD,
        )
        .thresholds(thresholds((None, GREEN), (6, YELLOW), (14.4, RED)))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    )


def machinery() -> Iterator[Drawn]:
    """Yield the panels of what keeps the checks running."""
    yield from _runs()
    yield from _targets()


def _runs() -> Iterator[Drawn]:
    yield (
        graph(
            "Age of results",
            "How old the last result of each check is, in times of its max_age. Above three it is not shown any more,"
            " and the check is unknown.",
            Query(expr=queries.STALENESS, legend="{{check}} {{job}} {{namespace}}"),
            size=(12, 8),
            unit="suffix:x",
            empty=NO_CHECK,
        )
        .thresholds(thresholds((None, GREEN), (3, RED)))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    )
    yield graph(
        "Runs by outcome",
        "How many runs of all chosen checks ended a minute, by outcome, on the host that runs most. Absent while the"
        " store cannot be read.",
        Query(expr=queries.RUNS_BY_OUTCOME, legend="{{outcome}} {{job}} {{namespace}}"),
        size=(12, 8),
        unit="cpm",
        empty="No runs are counted",
        of_runs=True,
    )
    yield graph(
        "Runs under way",
        "For checks with a run under way: how long the last one has been over. What goes on growing hangs.",
        Query(expr=queries.UNDER_WAY, legend="{{check}} {{job}} {{namespace}}"),
        size=(12, 7),
        unit="s",
        empty="No run is under way at the time of a scrape",
    )


def _targets() -> Iterator[Drawn]:
    yield graph(
        "Scrapes",
        "How long Prometheus takes to scrape each target.",
        Query(expr=f"scrape_duration_seconds{{{queries.HERE}}}", legend="{{instance}}"),
        size=(12, 7),
        unit="s",
        empty="No target",
    )
    yield timeline(
        "Targets, stores and drained hosts",
        "Whether each target is up, can read the store of records, and takes part in serving.",
        Query(expr=f"up{{{queries.HERE}}}", legend="{{instance}} up", name="up"),
        Query(
            expr=f"max {queries.BY_INSTANCE} ({queries.of_instances('store_up')})",
            legend="{{instance}} store",
            name="store",
        ),
        Query(
            expr=f"1 - max {queries.BY_INSTANCE} ({queries.of_instances('draining')})",
            legend="{{instance}} not drained",
            name="drained",
        ),
        size=(24, 7),
        values=mapping({"1": ("yes", GREEN), "0": ("no", RED)}),
        empty="No target",
    )
