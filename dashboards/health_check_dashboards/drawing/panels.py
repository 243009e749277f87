"""The panels of the dashboards, each kind with what all of its kind share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    MatcherConfig,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from health_check_dashboards.drawing.variables import SOURCE

GREEN, YELLOW, PURPLE, RED, BLUE, GREY = "green", "orange", "purple", "red", "blue", "#808080"

RUN_INTERVAL = "5m"
"""The least step of panels on runs: checks run every 10 to 300 seconds, and each window has to hold some."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """A query of a panel."""

    expr: str
    """The expression."""
    legend: str = ""
    """How a series is called."""
    name: str = "A"
    """What transformations and overrides call it."""
    exemplars: bool = False
    """Whether to show exemplars, which lead to traces."""


class _Panel(Protocol):
    def datasource(self, datasource: DataSourceRef) -> Self: ...
    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...


P = TypeVar("P", bound=_Panel)

Drawn = stat.Panel | statetimeline.Panel | timeseries.Panel | heatmap.Panel | table.Panel
"""A panel of any kind."""

NO_CHECK = "No check is known: are job, instance and check chosen well?"
NO_ENDPOINT = "No endpoint is known: are job, instance and endpoint chosen well?"
NO_RECORD = "Nothing recorded: are the recording rules of alerts.yml loaded?"


def mapping(values: Mapping[str, tuple[str, str]]) -> list[ValueMapping]:
    """Return how values are shown: text and colour by value."""
    options = {
        value: ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(values.items())
    }
    return [ValueMap(options=options)]


SEVERITY = mapping({"0": ("ok", GREEN), "1": ("warning", YELLOW), "2": ("unknown", PURPLE), "3": ("error", RED)})
ANSWER = mapping({"1": ("200", GREEN), "0": ("not 200", RED)})


def thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Return from what value on which colour holds; None is the lowest."""
    found = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def stats(title: str, text: str, *queries: Query, size: tuple[int, int], unit: str = "none", empty: str) -> stat.Panel:
    """Return a panel of large numbers."""
    panel = (
        _described(stat.Panel(), title, text, unit=unit, empty=empty, size=size)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.BACKGROUND)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .orientation(VizOrientation.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    for query in queries:
        panel = panel.with_target(_target(query).instant())
    return panel


def timeline(
    title: str, text: str, *queries: Query, size: tuple[int, int], values: list[ValueMapping], empty: str
) -> statetimeline.Panel:
    """Return a panel of states over time."""
    panel = (
        _described(statetimeline.Panel(), title, text, unit="none", empty=empty, size=size)
        .mappings(values)
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(85)
        .legend(_legend(LegendDisplayMode.LIST))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    for query in queries:
        panel = panel.with_target(_target(query).range())
    return panel


def graph(
    title: str, text: str, *queries: Query, size: tuple[int, int], unit: str, empty: str, of_runs: bool = False
) -> timeseries.Panel:
    """Return a panel of lines.

    Args:
        title: Its title.
        text: What it shows.
        queries: Its queries.
        size: Its width, of 24, and its height.
        unit: The unit of its values.
        empty: What it says without data.
        of_runs: Whether its steps have to be long enough to hold runs.
    """
    panel = (
        _described(timeseries.Panel(), title, text, unit=unit, empty=empty, size=size)
        .line_width(1)
        .fill_opacity(8)
        .show_points(VisibilityMode.AUTO)
        .min(0)
        .legend(_legend(LegendDisplayMode.TABLE).placement(LegendPlacement.RIGHT).calcs(["lastNotNull", "max"]))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for query in queries:
        panel = panel.with_target(_target(query).range())
    return panel.interval(RUN_INTERVAL) if of_runs else panel


def buckets(title: str, text: str, query: Query, *, size: tuple[int, int], empty: str) -> heatmap.Panel:
    """Return a panel of a histogram over time."""
    return (
        _described(heatmap.Panel(), title, text, unit="none", empty=empty, size=size)
        .with_target(_target(query).range().format(PromQueryFormat.HEATMAP))
        .interval(RUN_INTERVAL)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(heatmap.HeatmapColorOptions().scheme("Blues").steps(64))
        .cell_gap(1)
        .show_legend()
        .exemplars_color("rgba(255,0,255,0.7)")
    )


def rows(title: str, text: str, *queries: Query, size: tuple[int, int], unit: str = "none", empty: str) -> table.Panel:
    """Return a table: a row for each set of labels, a column for each query."""
    panel = _described(table.Panel(), title, text, unit=unit, empty=empty, size=size).filterable(True)
    for query in queries:
        panel = panel.with_target(_target(query).instant().format(PromQueryFormat.TABLE))
    return panel


def transformed(panel: table.Panel, *steps: tuple[str, dict[str, object]]) -> table.Panel:
    """Return a table with the steps that its data take before they are shown."""
    for name, options in steps:
        panel = panel.with_transformation(DataTransformerConfig(id_val=name, options=options))
    return panel


def renamed(names: Mapping[str, str], *, without: Sequence[str] = ()) -> tuple[str, dict[str, object]]:
    """Return the step that orders columns as these, calls them so, and leaves some out."""
    return "organize", {
        "excludeByName": dict.fromkeys(["Time", *without], True),
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": dict(names),
    }


def column(panel: table.Panel, name: str, **properties: object) -> table.Panel:
    """Return a table, one column of which differs: its ``unit``, ``mappings``, or ``custom__cellOptions``."""
    values = [DynamicConfigValue(id_val=key.replace("__", "."), value=value) for key, value in properties.items()]
    return panel.with_override(MatcherConfig(id_val="byName", options=name), values)


COLORED = {"type": "color-background", "mode": "basic"}
"""The options of cells that are coloured as their value."""


def _described(panel: P, title: str, text: str, *, unit: str, empty: str, size: tuple[int, int]) -> P:
    width, height = size
    panel = panel.datasource(SOURCE).title(title).description(text)
    return panel.unit(unit).no_value(empty).span(width).height(height)


def _target(query: Query) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(query.name)
        .exemplar(query.exemplars)
        .editor_mode(QueryEditorMode.CODE)
    )


def _legend(mode: LegendDisplayMode) -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(mode).placement(LegendPlacement.BOTTOM).show_legend(True)
