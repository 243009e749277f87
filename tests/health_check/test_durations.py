"""How long runs took: what is kept of that, and what is usual among them."""

from __future__ import annotations

import random
import statistics

import pytest

from health_check.durations import MOST_SAMPLES, SECONDS, Spread, joined, sample_of, spread_of


@pytest.mark.parametrize("seconds", [0.0001, 0.0004, 0.002, 0.25, 5.0, 59.0, 900.0])
def test_sample__is_within_a_step(seconds: float) -> None:
    """What is kept of a time is it within four per cent."""
    step = int(sample_of(seconds), 16)
    assert SECONDS[step] == pytest.approx(seconds, rel=0.04) or seconds == 0.0001


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 0.0), (0.00001, 0.0), (-1.0, 0.0), (1e9, SECONDS[-1])])
def test_sample__beyond_the_scale(seconds: float, kept: float) -> None:
    """What is too short or too long for the scale is at its ends."""
    assert SECONDS[int(sample_of(seconds), 16)] == kept


def test_spread__beside_all_times() -> None:
    """The median, and where eight runs of ten are, is that of all times within a few per cent."""
    chance = random.Random(7)  # noqa: S311
    times = [0.02 * chance.lognormvariate(0, 0.4) for _ in range(700)]
    spread = spread_of(map(sample_of, times), max(times))
    assert spread is not None
    low, *_, high = statistics.quantiles(times, n=10)
    assert spread == pytest.approx((low, statistics.median(times), high), rel=0.05)


def test_spread__of_one_run_and_of_none() -> None:
    """One run is all there is, and never more than the longest; of none, and of what is damaged, nothing is known."""
    assert spread_of([sample_of(0.00205)], 0.002) == Spread(0.002, 0.002, 0.002)
    assert spread_of([], 1.0) is None
    assert spread_of([b"2", b"xy", b"\xff"], 1.0) is None


def test_joined__an_even_choice_of_many() -> None:
    """Of the samples of many hosts as many are kept as of one, from the first to the last."""
    samples = [sample_of(0.001)] * 100 + [sample_of(1.0)] * 100
    text = joined(samples)
    assert len(text) == 2 * MOST_SAMPLES
    assert text.count(sample_of(1.0)) == MOST_SAMPLES // 2
    assert joined([b"", sample_of(1.0)]) == sample_of(1.0)
