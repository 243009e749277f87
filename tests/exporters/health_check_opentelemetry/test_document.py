"""The page on OpenTelemetry: its tables are complete, and its configuration of a collector fits together."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from health_check.monitor import runtime
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.recording import attributes, meter_provider, recording_spans

PAGE = (pathlib.Path(__file__).parents[3] / "docs" / "how-to" / "opentelemetry.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading."""
    [rows] = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def test_attributes__table_is_complete(mount_checks: Mount) -> None:
    """It has a row for each attribute of the spans of runs, and no other."""
    mount_checks(Broken)
    with recording_spans() as spans:
        runtime.read()
    assert [f"`{name}`" for name in sorted(attributes(spans.of_check("Broken")))] == sorted(
        row[0] for row in table("attribute")
    )


@pytest.mark.usefixtures("threads")
def test_metrics__table_is_complete(mount_checks: Mount) -> None:
    """It has a row for each metric, with its unit and its attributes, and no other."""
    mount_checks(Fine, Broken)
    with meter_provider(gauges=True) as (provider, metrics), recording_spans(metrics=provider):
        runtime.read()
        found = metrics.collect()
    rows = {row[0].strip("`"): row for row in table("metric")}
    assert rows.keys() == found.keys() | {"health_check.check.stuck_pid"}
    for name, metric in found.items():
        _, instrument, names, _ = rows[name]
        assert instrument.endswith(", s") == (metric.unit == "s")
        stated = {re.sub(r"^\.", "health_check.", one) for one in re.findall(r"`([^`]+)`", names)}
        assert stated == {key for point in metric.data.data_points for key in point.attributes or {}}


def test_collector__pipelines_have_what_they_name() -> None:
    """Each part of a pipeline is configured, and each part that is configured is in a pipeline."""
    [text] = re.findall(r"```yaml\n# collector.yaml\n(.*?)```", PAGE, re.DOTALL)
    configuration = yaml.safe_load(text)
    pipelines = configuration["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics"}
    for part in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[part]} == set(configuration[part])
