"""The setting ``DURATION_BUCKETS``."""

from __future__ import annotations

import datetime
import math
import time

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from health_check.conf import DEFAULT_DURATION_BUCKETS, MOST_DURATION_BUCKETS, problems
from health_check.conf import settings as ours
from health_check.monitor import runtime
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.client import Lag

UNUSABLE = [
    None,
    [],
    (),
    "0.1, 1",
    5,
    {"0.1": 1},
    {0.1, 1},
    [0, 1],
    [-1, 1],
    [1, 0.1],
    [1, 1],
    [1, 1.0],
    [0.1, "1"],
    [0.1, True],
    [0.1, None],
    [0.1, math.inf],
    [0.1, math.nan],
    [10**400],
    [float(number) for number in range(1, MOST_DURATION_BUCKETS + 2)],
]

ANSWER_SECONDS = 0.9
"""How soon a site says that it is not configured properly, on a busy machine; waiting for a check takes longer."""


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ([0.1, 1, 10], (0.1, 1.0, 10.0)),
        ((0.1,), (0.1,)),
        ([datetime.timedelta(milliseconds=5), 1], (0.005, 1.0)),
        (list(range(1, MOST_DURATION_BUCKETS + 1)), tuple(map(float, range(1, MOST_DURATION_BUCKETS + 1)))),
    ],
)
def test_buckets__usable(value: object, bounds: tuple[float, ...], settings: Settings) -> None:
    """Ascending numbers of seconds and timedeltas are bounds, in seconds."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": value}
    assert bounds == ours.DURATION_BUCKETS


def test_buckets__default() -> None:
    """By default they go from five milliseconds to ten seconds."""
    assert ours.DURATION_BUCKETS == DEFAULT_DURATION_BUCKETS
    assert (min(ours.DURATION_BUCKETS), max(ours.DURATION_BUCKETS)) == (0.005, 10)


@pytest.mark.parametrize("value", UNUSABLE)
def test_buckets__unusable(value: object, settings: Settings) -> None:
    """Anything else is refused with the remedy."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": value}
    with pytest.raises(ImproperlyConfigured, match=r"DURATION_BUCKETS.*use a list of at most 50 numbers"):
        _ = ours.DURATION_BUCKETS
    assert len(problems()) == 1


def test_buckets__unusable__system_check(settings: Settings) -> None:
    """The system checks refuse what cannot be used, too."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [1, 0.1]}
    found = [message.id for message in run_checks(tags=["health_check"]) if "DURATION_BUCKETS" in message.msg]
    assert found == ["health_check.E001"]


def test_unusable__is_said_at_once(settings: Settings, mount_checks: Mount, client: Client, lag: Lag) -> None:
    """Bounds that cannot be used are told by the endpoint at once, as other settings are, not found out by a run."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "TIMEOUT": 1, "DURATION_BUCKETS": [3, 1]}
    mount_checks(Fine)
    start = time.monotonic()
    answer = client.get("/health/", {"format": "json"})
    assert time.monotonic() - start < ANSWER_SECONDS + lag.slack
    assert answer.status_code == 500
    assert b"HEALTH_CHECK['DURATION_BUCKETS'] is [3, 1]" in answer.content


def test_unusable__metrics_of_others_stay(settings: Settings, mount_checks: Mount, client: Client, lag: Lag) -> None:
    """The metrics page goes on without the health checks, at once."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "TIMEOUT": 1, "DURATION_BUCKETS": [3, 1]}
    mount_checks(Fine)
    start = time.monotonic()
    answer = client.get("/metrics")
    assert time.monotonic() - start < ANSWER_SECONDS + lag.slack
    assert answer.status_code == 200
    assert b"python_info" in answer.content
    assert b"django_health_check_store_up 0.0" in answer.content


def test_changed__counts_by_the_new_ones(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """Runs are counted by the bounds that are set, and the page has a bucket for each, and the last one."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [20, 40]}
    mount_checks(Fine)
    page = client.get("/metrics").content.decode()
    lines = [line for line in page.splitlines() if line.startswith("django_health_check_duration_seconds_bucket")]
    assert [line.partition(" ")[0].partition('le="')[2].rstrip('"}') for line in lines] == ["20.0", "40.0", "+Inf"]
    [reading] = runtime.read().readings
    assert reading.record is not None
    assert reading.record.totals.durations.keys() == {20.0}
