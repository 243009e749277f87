"""The histogram of durations: what is counted, by which bounds, with which exemplars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as Shown
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview, Reading
from health_check.records import NO_TOTALS, Exemplar, Totals
from health_check_prometheus.families import families_of
from tests.support.parsing import page_of, parse_openmetrics, parse_text
from tests.support.readings import reading, unknown

NAME = "django_health_check_duration_seconds"
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
COUNTED = Totals(durations={0.1: 3, 1.0: 2, math.inf: 1}, seconds=7.5)
BOUNDS = {"DURATION_BUCKETS": [0.1, 0.5, 1]}


@pytest.fixture(autouse=True)
def _bounds(settings: Settings) -> None:
    """Few buckets."""
    settings.HEALTH_CHECK = BOUNDS


def family_of(totals: Totals | None, what: Reading | None = None) -> Metric:
    """Return the histogram of a check with these totals; None while they are not known."""
    what = what or reading("Database")
    summary = StoreSummary(totals=None if totals is None else {what.label: totals}, up=totals is not None)
    families = families_of(Overview(readings=(what,), reports=()), summary)
    [found] = [family for family in families if family.name == NAME]
    return found


def buckets(family: Metric) -> dict[str, float]:
    """Return the buckets, by bound."""
    return {sample.labels["le"]: sample.value for sample in family.samples if sample.name == f"{NAME}_bucket"}


def exemplars(family: Metric) -> dict[str, Shown]:
    """Return the exemplars, by the bound of their bucket."""
    return {sample.labels["le"]: sample.exemplar for sample in family.samples if sample.exemplar}


def with_exemplar(labels: Mapping[str, str], bound: float = 0.1) -> Totals:
    """Return totals with a run that can be found by these labels."""
    example = Exemplar(labels=labels, seconds=0.05, finished=1_700_000_000.25)
    return COUNTED._replace(exemplars={bound: example})


def test_buckets__are_cumulated() -> None:
    """Each bucket has all runs up to its bound, the last one all runs, and sum and count are there."""
    family = family_of(COUNTED)
    assert buckets(family) == {"0.1": 3, "0.5": 3, "1.0": 5, "+Inf": 6}
    values = {sample.name.removeprefix(NAME): sample.value for sample in family.samples}
    assert (values["_count"], values["_sum"]) == (6, 7.5)
    assert all(sample.labels["check"] == "Database" for sample in family.samples)


def test_buckets__never_run() -> None:
    """A check that never ran has all buckets, at zero, and so sum and count."""
    family = family_of(NO_TOTALS, unknown("Mail", ServiceUnavailable("no result yet")))
    assert buckets(family) == {"0.1": 0, "0.5": 0, "1.0": 0, "+Inf": 0}
    assert [sample.value for sample in family.samples if not sample.name.endswith("_bucket")] == [0, 0]


def test_buckets__of_a_check_without_totals() -> None:
    """A check that the store has never heard of is at zero, too."""
    families = families_of(Overview(readings=(reading("New"),), reports=()), StoreSummary(totals={}, up=True))
    [family] = [family for family in families if family.name == NAME]
    assert set(buckets(family).values()) == {0}


def test_buckets__store_down() -> None:
    """While totals are not known there are neither buckets nor counters: a gap, and no reset."""
    assert family_of(None).samples == []
    families = families_of(Overview(readings=(reading("Database"),), reports=()), StoreSummary())
    assert [family.samples for family in families if family.type == "counter"] == [[]]


def test_buckets__of_other_bounds(settings: Settings) -> None:
    """What was counted under former settings is in the next bucket up, and nothing is lost."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [0.05, 0.2, 5]}
    family = family_of(COUNTED)
    assert buckets(family) == {"0.05": 0, "0.2": 3, "5.0": 5, "+Inf": 6}


def test_buckets__counted_above_all_bounds(settings: Settings) -> None:
    """What was counted under a bound greater than all there are now is in the last bucket alone."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [0.01]}
    assert buckets(family_of(COUNTED)) == {"0.01": 0, "+Inf": 6}


@pytest.mark.parametrize(
    ("bound", "text"),
    [(0.000001, "1e-06"), (0.0005, "0.0005"), (1, "1.0"), (30, "30.0"), (1000000, "1e+06"), (12500000, "1.25e+07")],
)
def test_bounds__canonical(bound: float, text: str, settings: Settings) -> None:
    """Bounds of any size are written as OpenMetrics and Prometheus write them, so that all targets have the same."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [bound]}
    parsed = {family.name: family for family in parse_openmetrics(page_of([family_of(COUNTED)], openmetrics=True))}
    assert list(buckets(parsed[NAME])) == [text, "+Inf"]


def test_exemplar__in_its_bucket() -> None:
    """A run that can be found has its labels, its duration and its time in the bucket that it was counted in."""
    assert exemplars(family_of(with_exemplar(TRACE))) == {"0.1": Shown(TRACE, 0.05, 1_700_000_000.25)}


def test_exemplar__through_the_formats() -> None:
    """OpenMetrics has it, which the reference parser takes; the text format has none."""
    family = family_of(with_exemplar(TRACE))
    parsed = parse_openmetrics(page_of([family], openmetrics=True))
    [shown] = exemplars(parsed[0]).values()
    assert (dict(shown.labels), shown.value, float(shown.timestamp or 0)) == (TRACE, 0.05, 1_700_000_000.25)
    assert exemplars(parse_text(page_of([family], openmetrics=False))[0]) == {}


def test_exemplar__of_another_bound(settings: Settings) -> None:
    """One of a bucket that there is no more is left out, and the others stay."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [0.2, 1]}
    totals = COUNTED._replace(exemplars={0.1: with_exemplar(TRACE).exemplars[0.1]})
    assert exemplars(family_of(totals)) == {}
    assert exemplars(family_of(with_exemplar(TRACE, bound=1.0))).keys() == {"1.0"}


def test_exemplar__slower_than_all_bounds() -> None:
    """The last bucket may have one, too."""
    example = Exemplar(labels=TRACE, seconds=60.0, finished=1_700_000_000.0)
    family = family_of(COUNTED._replace(exemplars={math.inf: example}))
    assert exemplars(family) == {"+Inf": Shown(TRACE, 60.0, 1_700_000_000.0)}
    parse_openmetrics(page_of([family], openmetrics=True))


@pytest.mark.parametrize(
    "labels",
    [
        {"trace_id": "f" * 121},
        {"trace_id": "ü" * 121},
        {"a" * 60: "b" * 60, "c": "d" * 8},
        {"no label": "x"},
        {"1st": "x"},
        {"": "x"},
        {'a"} 1 # {b': "x"},
        {"trace_id": "\ud800"},
        {"trace_id": "a\nb"},
    ],
)
def test_exemplar__not_for_openmetrics(labels: dict[str, str]) -> None:
    """Labels that are longer than allowed, or none at all, are left out: the page stays one that can be read."""
    family = family_of(with_exemplar(labels))
    assert exemplars(family) == {}
    assert buckets(family)["+Inf"] == 6


@pytest.mark.parametrize(
    "labels", [{"trace_id": "f" * 120}, {"trace_id": "🐍" * 120}, {"trace_id": "{a b=c}, # 1"}, {}]
)
def test_exemplar__as_long_as_allowed(labels: dict[str, str]) -> None:
    """128 characters are allowed, however many bytes they have, and all that can be escaped."""
    family = family_of(with_exemplar(labels))
    [shown] = exemplars(parse_openmetrics(page_of([family], openmetrics=True))[0]).values()
    assert dict(shown.labels) == labels


def test_exemplar__of_an_observer_that_gives_numbers() -> None:
    """Labels that are no text become text, rather than an error of the whole page."""
    wrong: dict[str, object] = {"trace_id": 17}
    family = family_of(with_exemplar(wrong))  # type: ignore[arg-type]
    [shown] = exemplars(family).values()
    assert shown.labels == {"trace_id": "17"}
