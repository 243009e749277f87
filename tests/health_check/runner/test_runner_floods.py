"""Checks that say too much: what is kept, shown and logged of it has a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.records import State
from health_check.stores import serializer
from tests.support.bench import SECONDS, Bench, defined

LONGEST_MESSAGE = 20_000
"""How many characters a message may have in the end."""

MOST_MESSAGES = 1000
"""How many messages may be kept of a run."""

LONGEST_LOG = 200_000
"""How many characters may be logged of one change."""

HUGE = 10_000_000


@pytest.fixture(autouse=True)
def _real_defaults(settings: Settings) -> None:
    """Run on threads, as outside a test suite, at every reading."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 2, "TIMEOUT": 5}


@pytest.mark.parametrize(("error", "begins"), [(ServiceUnavailable, "unavailable: xxx"), (ValueError, "unknown error")])
def test_message__of_ten_megabytes__is_cut_short(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: type[Exception], begins: str
) -> None:
    """Its beginning is shown, or logged, within the budget: masking all of it would hold up the whole process."""

    def flood(check: HealthCheck) -> None:
        raise error("x" * HUGE)

    reading = bench.read(defined(flood))
    assert reading.pretty_status.startswith(begins)
    assert len(reading.pretty_status) < LONGEST_MESSAGE
    bench.monitor.flush(SECONDS)
    assert error is ServiceUnavailable or "ValueError" in caplog.text
    assert 0 < len(caplog.text) < LONGEST_LOG


def test_message__cut_short__shows_no_secret(bench: Bench) -> None:
    """What is masked in a whole message is masked in its beginning, wherever that ends."""
    unit = "postgres://shop:planted-secret@db/shop "

    def flood(check: HealthCheck) -> None:
        raise ServiceUnavailable(unit * (HUGE // len(unit)))

    text = bench.read(defined(flood)).pretty_status
    assert text.startswith("unavailable: postgres://***@db/shop ")
    assert "planted" not in text


def test_errors__twenty_thousand__are_cut_short(bench: Bench) -> None:
    """The first ones are kept, within the budget."""

    def flood(check: HealthCheck) -> None:
        for number in range(20_000):
            check.add_error(ServiceUnavailable(f"shard {number} is gone"))

    reading = bench.read(defined(flood))
    assert reading.messages[0].text == "unavailable: shard 0 is gone"
    assert 10 <= len(reading.messages) <= MOST_MESSAGES


@pytest.mark.parametrize(("number", "shown"), [(1, 1), (2, 2), (3, 3), (100, 3), (5000, 3)])
def test_errors__long_ones__fit_any_store(bench: Bench, number: int, shown: int) -> None:
    """What a record holds is bounded in all, whatever is in it, and says how much there is more."""

    def flood(check: HealthCheck) -> None:
        for position in range(number):
            check.add_error(ServiceUnavailable(f"{position} \N{GRINNING FACE}" + "\x07" * 9000))

    reading = bench.read(defined(flood))
    assert len(reading.messages) == shown
    assert reading.record is not None
    assert len(serializer.dump(reading.record).encode()) < 200_000
    hidden = number - 2
    assert reading.messages[-1].text.startswith("…") is (number > 2)
    assert number < 3 or reading.messages[-1].text == f"… and {min(hidden, 998)} more"


@pytest.mark.parametrize("last", [ServiceWarning("slow"), ServiceUnavailable("gone")])
def test_errors__many__are_as_severe_as_all(bench: Bench, last: Exception) -> None:
    """Hundreds of warnings are a warning, unless there is something worse behind them."""

    def flood(check: HealthCheck) -> None:
        for position in range(300):
            check.add_error(ServiceWarning(f"shard {position} is slow"))
        check.add_error(last)

    reading = bench.read(defined(flood))
    assert reading.state is (State.WARNING if isinstance(last, ServiceWarning) else State.ERROR)
    assert reading.messages[-1].text == "… and 201 more"


def test_errors__without_end__are_cut_short(bench: Bench) -> None:
    """What goes on for ever is not collected to its end, which would take all memory."""
    given: list[int] = [0]

    def without_end() -> Iterator[str]:
        while given[0] < HUGE:
            given[0] += 1
            yield "again"

    def flood(check: Any) -> None:
        check.errors = without_end()

    assert bench.read(defined(flood)).state is State.ERROR
    assert given[0] <= MOST_MESSAGES + 1
