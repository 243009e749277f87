"""The day before the demo started: made up, and written through the store's own interface."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator

from health_check.records import Message, Result, unavailable
from health_check.stores import Key
from health_check.stores.cache import DjangoCacheStore

HOSTS = ("web-1", "web-2")
HOURS = 24
EVERY_SECONDS = 30
"""How far the runs are apart."""

OUTAGES = {
    "Orders": (17.5, 0.75, "the table of orders cannot be read"),
    "Payments": (6.25, 0.5, "payments cannot be reached"),
}
"""By label: how many hours ago an outage began, how many hours it lasted, and what the check said."""

USUAL_SECONDS = {"Database": 0.002, "Storage": 0.004, "Payments": 0.21, "Search": 0.03}
"""How long a run takes on average, by label; 0.001 where it does not say."""


def write(labels: list[str], now: float) -> None:
    """Write the past day of these checks on both hosts.

    Args:
        labels: The checks.
        now: When it ends, Unix time in seconds.
    """
    for host in HOSTS:
        store = DjangoCacheStore(alias="records", host=host)
        try:
            for label in labels:
                store.add_past(Key(label=label, scope="host"), _results(label, host, now))
        finally:
            store.close()


def _results(label: str, host: str, now: float) -> Iterator[Result]:
    chance = random.Random(label + host)  # noqa: S311 - the same day each time
    usual = USUAL_SECONDS.get(label, 0.001)
    first = math.ceil((now - HOURS * 3600) / EVERY_SECONDS)
    for number in range(first, int(now // EVERY_SECONDS)):
        finished = number * EVERY_SECONDS
        time_taken = usual * chance.lognormvariate(0, 0.35)
        yield Result(
            messages=_messages(label, now - finished),
            time_taken=time_taken,
            started=finished - time_taken,
            finished=finished,
            host=host,
            pid=os.getpid(),
        )


def _messages(label: str, seconds_ago: float) -> tuple[Message, ...]:
    hours_ago, lasted, text = OUTAGES.get(label, (0.0, 0.0, ""))
    failed = hours_ago - lasted < seconds_ago / 3600 <= hours_ago
    return (unavailable(text),) if failed else ()
