"""The deadline of a scrape, which the collector must keep, whichever view serves the page."""

from __future__ import annotations

import contextlib
import contextvars
import math
import time
from collections.abc import Iterator

from health_check.conf import seconds, settings

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
"""What Prometheus sends with each scrape."""

SHARE = 0.8
"""Which share of the scrape's timeout waiting for checks may take; the rest is for rendering and sending."""

_scrape: contextvars.ContextVar[tuple[float, float] | None] = contextvars.ContextVar(
    "health_check_scrape", default=None
)
"""When the scrape began, on the monotonic clock, and what it says that it waits at most."""


@contextlib.contextmanager
def scrape_timeout(header: str | None) -> Iterator[None]:
    """Have all that is collected meanwhile wait no longer, together, than one scrape may.

    Args:
        header: The timeout that the scrape announces; one that is no number above 0 does not count.
    """
    try:
        announced = seconds(float(header)) if header else None
    except ValueError:
        announced = None
    token = _scrape.set((time.monotonic(), announced or math.inf))
    try:
        yield
    finally:
        _scrape.reset(token)


def seconds_left() -> float:
    """Return for how many seconds a scrape may wait for checks from now on."""
    scrape = _scrape.get()
    if scrape is None:
        return settings.SCRAPE_WAIT
    began, announced = scrape
    return max(0.0, min(settings.SCRAPE_WAIT, SHARE * announced) - (time.monotonic() - began))
