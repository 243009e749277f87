"""The metric families, as the overview of all endpoints fills them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from health_check import records
from health_check.conf import settings
from health_check.extensions import Role, process_info
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview, Reading, Report
from health_check.records import Outcome, State, Totals

PREFIX = "django_health_check_"

MOST_EXEMPLAR_CHARACTERS = 128
"""How long the labels of an exemplar may be together: OpenMetrics 1.0, Exemplars."""


BUILD_LABELS = ("role", "version", "django", "python", "store", "host")


def families_of(overview: Overview | None, summary: StoreSummary, role: Role = Role.SITE) -> list[Metric]:
    """Return all families.

    Args:
        overview: The endpoints and their checks; None if they could not be read.
        summary: What is counted of the checks.
        role: What the process is for that shows them.
    """
    readings, reports = (overview.readings, overview.reports) if overview else ((), ())
    return [
        *_gauges(readings),
        _state(readings),
        _endpoint_status(reports),
        _endpoint_check_info(reports),
        _info(readings, overview.tag_names if overview else ()),
        _runs(summary),
        _durations(summary),
        _build_info(overview, role),
        GaugeMetricFamily(f"{PREFIX}store_up", STORE_UP, value=float(summary.up)),
        GaugeMetricFamily(f"{PREFIX}draining", DRAINING, value=float(summary.draining)),
    ]


STORE_UP = "Whether the store of the records could be read (1) or not (0); without it there are no counters."
DRAINING = "Whether this host is drained (1), so that its readiness endpoints answer 503, or not (0)."

GAUGES: dict[str, tuple[str, Callable[[Reading], float | None]]] = {
    "status": (
        "Whether the check was ok as of its last run (1) or not (0); see state for warning, error and unknown.",
        lambda reading: reading.status,
    ),
    "time_taken_seconds": (
        "How long the check took, as of its last run.",
        lambda reading: reading.time_taken,
    ),
    "last_run_timestamp_seconds": (
        "When the last run of the check ended, Unix time.",
        lambda reading: reading.finished,
    ),
    "last_success_timestamp_seconds": (
        "When the last run of the check that was ok ended, Unix time.",
        lambda reading: reading.record.last_success if reading.record else None,
    ),
    "last_transition_timestamp_seconds": (
        "When the state of the check last became another one, Unix time.",
        lambda reading: reading.record.last_transition if reading.record else None,
    ),
    "timeout_seconds": (
        "The time budget of a run of the check.",
        lambda reading: reading.definition.timeout,
    ),
    "max_age_seconds": (
        "For how long a result of the check counts as fresh.",
        lambda reading: reading.definition.max_age,
    ),
    "in_progress": (
        "Whether a run of the check is under way or stuck (1) or not (0).",
        lambda reading: reading.in_progress,
    ),
    "stuck_pid": (  # a value and no label, so that no process makes a series
        "The id of the process in which a run of the check hangs beyond its time budget; absent else.",
        lambda reading: reading.stuck_pid,
    ),
}
"""The gauges of a check: what they are, and their value, None where there is none."""


def _gauges(readings: Sequence[Reading]) -> Iterator[Metric]:
    for name, (text, value_of) in GAUGES.items():
        unit = "seconds" if name.endswith("_seconds") else ""
        family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=["check"], unit=unit)
        for reading in readings:
            value = value_of(reading)
            if value is not None:
                family.add_metric([reading.label], float(value))
        yield family


def _state(readings: Sequence[Reading]) -> Metric:
    text = "Which state the check is in as of its last run: 1 for that state, 0 for the others."
    family = GaugeMetricFamily(f"{PREFIX}state", text, labels=["check", "state"])
    for reading in readings:
        for state in State:
            family.add_metric([reading.label, state.value], float(reading.state is state))
    return family


def _endpoint_status(reports: Sequence[Report]) -> Metric:
    text = "Whether the endpoint answers 200 (1) or not (0)."
    family = GaugeMetricFamily(f"{PREFIX}endpoint_status", text, labels=["url_name"])
    for report in reports:
        family.add_metric([report.name], float(report.healthy))
    return family


def _endpoint_check_info(reports: Sequence[Report]) -> Metric:
    text = "Which checks an endpoint has, and whether they are critical to it; always 1."
    family = GaugeMetricFamily(f"{PREFIX}endpoint_check_info", text, labels=["url_name", "check", "critical"])
    for report in reports:
        for row in report.rows:
            family.add_metric([report.name, row.reading.label, str(row.critical).lower()], 1.0)
    return family


FOR_PEOPLE = ("title", "group", "runbook")
"""What a check may say of itself for people; labels where any check says it."""


def _info(readings: Sequence[Reading], tag_names: Sequence[str]) -> Metric:
    """Return what checks are; all have the same labels, as few as a site gives them."""
    family = InfoMetricFamily(PREFIX.rstrip("_"), "What the check is.", labels=["check"])
    definitions = [reading.definition for reading in readings]
    told = [name for name in FOR_PEOPLE if any(getattr(definition, name) for definition in definitions)]
    for definition in definitions:
        tags = {name: definition.tags.get(name, "") for name in tag_names}
        people = {name: getattr(definition, name) for name in told}
        static = {"backend": definition.backend, "scope": definition.scope}
        family.add_metric([definition.label], {**tags, **people, **static})
    return family


def _build_info(overview: Overview | None, role: Role) -> Metric:
    """Return what shows the metrics; nothing while the checks cannot be read, as the settings may be unusable."""
    text = "What shows these metrics: a site, an exporter process or a command, its versions, store and host; always 1."
    family = GaugeMetricFamily(f"{PREFIX}build_info", text, labels=BUILD_LABELS)
    if overview is not None:
        family.add_metric(list(process_info(role).values()), 1.0)
    return family


def _runs(summary: StoreSummary) -> Metric:
    text = "How many runs of the check ended, by outcome."
    family = CounterMetricFamily(f"{PREFIX}runs", text, labels=["check", "outcome"])
    for label, totals in summary.totals.items():
        for outcome in Outcome:
            family.add_metric([label, outcome.value], float(totals.runs[outcome]))
    return family


def _durations(summary: StoreSummary) -> Metric:
    text = "How long the runs of the check took, all of them."
    family = HistogramMetricFamily(f"{PREFIX}duration_seconds", text, labels=["check"], unit="seconds")
    if summary.totals:
        bounds = [(bound, _canonical(bound)) for bound in (*settings.DURATION_BUCKETS, math.inf)]
        for label, totals in summary.totals.items():
            family.add_metric([label], _buckets(totals, bounds), totals.seconds)
    return family


def _canonical(bound: float) -> str:
    """Return a bound as OpenMetrics wants those written: 1.0 Considerations, Canonical Numbers."""
    text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
    return text


def _buckets(totals: Totals, bounds: Sequence[tuple[float, str]]) -> list[Any]:
    """Return the buckets, cumulated; what was counted by other bounds, under former settings, is in the next one up."""
    counted, examples = sorted(totals.durations.items()), totals.exemplars
    found: list[Any] = []
    count = position = 0
    for bound, name in bounds:
        while position < len(counted) and counted[position][0] <= bound:
            count += counted[position][1]
            position += 1
        found.append((name, float(count), _exemplar(examples[bound]) if bound in examples else None))
    return found


def _exemplar(example: records.Exemplar) -> Exemplar | None:
    """Return an exemplar for OpenMetrics, unless its labels are not what that allows, so that all else is read."""
    labels = {str(name): str(value) for name, value in example.labels.items()}
    too_long = sum(len(name) + len(value) for name, value in labels.items()) > MOST_EXEMPLAR_CHARACTERS
    if too_long or not all(_is_label(name) and value.isprintable() for name, value in labels.items()):
        return None
    return Exemplar(labels, example.seconds, example.finished)


def _is_label(name: str) -> bool:
    """Return whether this may be the name of a label: OpenMetrics 1.0, ABNF."""
    return name.isascii() and name.isidentifier()
