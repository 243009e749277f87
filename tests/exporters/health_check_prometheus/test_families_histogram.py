"""The histogram of durations: what is counted, by which bounds, with which exemplars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as Shown
from pytest_django import Settings

from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview
from health_check.records import NO_TOTALS, Exemplar, Totals
from health_check_prometheus.families import families_of
from tests.support.parsing import page_of, parse_openmetrics, parse_text
from tests.support.readings import reading

NAME = "django_health_check_duration_seconds"
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
COUNTED = Totals(durations={0.1: 3, 1.0: 2, math.inf: 1}, seconds=7.5)
BOUNDS = {"DURATION_BUCKETS": [0.1, 0.5, 1]}


@pytest.fixture(autouse=True)
def _bounds(settings: Settings) -> None:
    """Few buckets."""
    settings.HEALTH_CHECK = BOUNDS


def family_of(totals: Totals) -> Metric:
    """Return the histogram of a check with these totals."""
    overview = Overview(readings=(reading("Database"),), reports=())
    families = families_of(overview, StoreSummary(totals={"Database": totals}, up=True))
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


@pytest.mark.parametrize(
    ("bounds", "totals", "expected"),
    [
        pytest.param([0.1, 0.5, 1], COUNTED, {"0.1": 3, "0.5": 3, "1.0": 5, "+Inf": 6}, id="cumulated"),
        pytest.param([0.1, 0.5, 1], NO_TOTALS, {"0.1": 0, "0.5": 0, "1.0": 0, "+Inf": 0}, id="never run"),
        pytest.param([0.05, 0.2, 5], COUNTED, {"0.05": 0, "0.2": 3, "5.0": 5, "+Inf": 6}, id="counted by others"),
        pytest.param([0.01], COUNTED, {"0.01": 0, "+Inf": 6}, id="counted above all"),
    ],
)
def test_buckets__have_all_runs_up_to_a_bound(
    bounds: list[float], totals: Totals, expected: dict[str, float], settings: Settings
) -> None:
    """Each bucket has all runs up to its bound, those counted under former settings, too; sum and count are there."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": bounds}
    family = family_of(totals)
    assert buckets(family) == expected
    values = {sample.name.removeprefix(NAME): sample.value for sample in family.samples}
    assert (values["_count"], values["_sum"]) == (expected["+Inf"], totals.seconds)
    assert all(sample.labels["check"] == "Database" for sample in family.samples)


def test_buckets__not_known() -> None:
    """While totals are not known, as without the store, there are neither buckets nor counters: a gap, and no reset."""
    families = families_of(Overview(readings=(reading("Database"),), reports=()), StoreSummary())
    assert [family.samples for family in families if family.type in ("counter", "histogram")] == [[], []]


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
    """OpenMetrics has the labels, duration and time of a run in the bucket that it was counted in, text has none."""
    family = family_of(with_exemplar(TRACE))
    assert exemplars(family) == {"0.1": Shown(TRACE, 0.05, 1_700_000_000.25)}
    [shown] = exemplars(parse_openmetrics(page_of([family], openmetrics=True))[0]).values()
    assert (dict(shown.labels), shown.value, float(shown.timestamp or 0)) == (TRACE, 0.05, 1_700_000_000.25)
    assert exemplars(parse_text(page_of([family], openmetrics=False))[0]) == {}


def test_exemplar__of_another_bound(settings: Settings) -> None:
    """One of a bucket that there is no more is left out, and the others stay."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [0.2, 1]}
    assert exemplars(family_of(with_exemplar(TRACE))) == {}
    for bound, name in ((1.0, "1.0"), (math.inf, "+Inf")):
        family = family_of(with_exemplar(TRACE, bound))
        assert exemplars(family).keys() == {name}
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
    "labels", [{"trace_id": "f" * 120}, {"trace_id": "🐍" * 120}, {"trace_id": "{a b=c}, # 1"}, {"trace_id": 17}, {}]
)
def test_exemplar__as_long_as_allowed(labels: dict[str, str]) -> None:
    """128 characters are allowed, however many bytes they have, and all that can be escaped; numbers become text."""
    family = family_of(with_exemplar(labels))
    [shown] = exemplars(parse_openmetrics(page_of([family], openmetrics=True))[0]).values()
    assert dict(shown.labels) == {name: str(value) for name, value in labels.items()}
