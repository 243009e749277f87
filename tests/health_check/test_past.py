"""Half hours, days and incidents: how they are added up."""

from __future__ import annotations

import pytest

from health_check.durations import SAMPLE_SECONDS, sample_of
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.past import (
    DAY,
    FLAPPING_SECONDS,
    HALF_HOUR,
    MOST_CHARACTERS,
    MOST_INCIDENTS,
    Change,
    Incident,
    Period,
    additions_of,
    gapless,
    incidents_of,
    merged,
    total_of,
)
from health_check.records import Message, State
from tests.support.places import ERROR, result_at

WARNING = Message.of(ServiceWarning("soon"))
NOON = 20_000 * DAY + DAY // 2


@pytest.mark.parametrize(
    ("period", "uptime", "state"),
    [
        (Period(0), None, State.UNKNOWN),
        (Period(0, ok=3), 1.0, State.OK),
        (Period(0, ok=1, warning=1), 1.0, State.WARNING),
        (Period(0, ok=2, warning=1, error=1), 0.75, State.ERROR),
        (Period(0, timeout=1), 0.0, State.ERROR),
    ],
)
def test_period__uptime_and_state(period: Period, uptime: float | None, state: State) -> None:
    """Warnings count as up; without runs nothing is known."""
    assert (period.uptime, period.state) == (uptime, state)


def test_additions__by_half_hour() -> None:
    """Runs are counted in the half hour they ended in, with those that changed the state and those that failed."""
    results = [
        result_at(NOON - 1.0),
        result_at(NOON, ERROR, WARNING, time_taken=2.0),
        result_at(NOON + 10, WARNING),
        result_at(NOON + 20),
        result_at(NOON + 30),
    ]
    first, second = additions_of(results)
    assert first.period == Period(NOON - HALF_HOUR, ok=1, time_taken=0.25, longest=0.25, times=sample_of(0.25))
    assert second.period == Period(NOON, ok=2, warning=1, error=1, time_taken=2.75, longest=2.0, times=sample_of(2.0))
    assert [change.state for change in (*first.changes, *second.changes)] == ["ok", "error", "warning", "ok"]
    assert [failure.message for failure in second.failures] == ["unavailable: gone\nwarning: soon", "warning: soon"]
    assert total_of([first.period, second.period]).runs == 5
    ((cut,),) = [each.failures for each in additions_of([result_at(NOON, Message.of(ServiceUnavailable("x" * 9999)))])]
    assert (len(cut.message), cut.message[-2:]) == (MOST_CHARACTERS, " …")


def test_additions__a_sample_of_times() -> None:
    """Of the runs of two minutes one is part of the sample, however often a check runs; each has at least one."""
    often = [result_at(NOON + 10.0 * number, time_taken=0.5) for number in range(180)]
    (addition,) = additions_of(often)
    assert addition.period.times == sample_of(0.5) * (HALF_HOUR // SAMPLE_SECONDS)
    rare = [result_at(NOON + 300.0 * number, time_taken=0.5) for number in range(6)]
    (addition,) = additions_of(rare)
    assert addition.period.times == sample_of(0.5) * 6
    assert addition.period.spread == pytest.approx((0.5, 0.5, 0.5), rel=0.04)


def test_gapless__half_hours_and_days() -> None:
    """There is a period for each time until now; half hours make days; runs of the day to come count as of now."""
    periods = [Period(NOON + step * HALF_HOUR, ok=1) for step in (-100, -2, 0, 1, 99)]
    found = gapless(periods, NOON + 60, length=HALF_HOUR, count=3)
    assert [(period.start - NOON, period.runs) for period in found] == [(-2 * HALF_HOUR, 1), (-HALF_HOUR, 0), (0, 2)]
    today = NOON // DAY * DAY
    days = gapless([*periods, Period(today - 2 * DAY, DAY, error=7)], NOON, length=DAY, count=3)
    assert [(period.start, period.length, period.runs) for period in days] == [
        (today - 2 * DAY, DAY, 8),
        (today - DAY, DAY, 0),
        (today, DAY, 3),
    ]


def changes_of(*states: tuple[float, str], host: str = "a") -> list[Change]:
    """Return changes at some seconds."""
    return [Change(time, state, host, f"at {time:.0f}" if state != "ok" else "") for time, state in states]


def test_incidents__from_the_first_bad_run_to_the_first_good_one() -> None:
    """An incident has the message of its first run and its worst state; one that goes on has no end."""
    changes = changes_of((0, "ok"), (10, "warning"), (20, "error"), (30, "warning"), (40, "ok"), (5000, "error"))
    assert incidents_of("Mail", reversed(changes)) == [
        Incident(label="Mail", began=10, ended=40, hosts=("a",), worst=State.ERROR, message="at 10"),
        Incident(label="Mail", began=5000, ended=None, hosts=("a",), worst=State.ERROR, message="at 5000"),
    ]


def test_incidents__flapping_makes_one() -> None:
    """A check that is ok for a few minutes only has one incident."""
    soon = 20 + FLAPPING_SECONDS
    changes = changes_of((10, "warning"), (20, "ok"), (soon, "error"), (soon + 5, "ok"), (soon * 3, "warning"))
    first, second = incidents_of("Mail", changes)
    assert (first.began, first.ended, first.worst, first.message) == (10, soon + 5, State.ERROR, "at 10")
    assert (second.began, second.ended) == (soon * 3, None)


def test_merged__hosts_at_one_time() -> None:
    """What several hosts found at one time is one incident; of all, the newest are returned, newest first."""
    first = incidents_of("Mail", changes_of((10, "error"), (400, "ok"), host="b"))
    second = incidents_of("Mail", changes_of((12, "error"), (900, "ok"), host="a"))
    other = incidents_of("Cache", changes_of((11, "error")))
    assert [(each.label, each.began, each.ended, each.hosts) for each in merged([*first, *second, *other])] == [
        ("Cache", 11, None, ("a",)),
        ("Mail", 10, 900, ("a", "b")),
    ]
    many = [Incident(label="Mail", began=step * 9999.0, ended=step * 9999.0) for step in range(150)]
    assert [each.began for each in merged(many)] == [step * 9999.0 for step in range(149, 149 - MOST_INCIDENTS, -1)]
