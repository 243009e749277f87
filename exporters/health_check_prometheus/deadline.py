"""The deadline of a scrape, which the collector must keep, whoever serves the page."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from health_check.conf import seconds, settings

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
"""What Prometheus sends with each scrape."""

SHARE = 0.8
"""Which share of the scrape's timeout waiting for checks may take; the rest is for rendering and sending."""

_timeout: contextvars.ContextVar[float | None] = contextvars.ContextVar("health_check_scrape_timeout", default=None)


@contextlib.contextmanager
def scrape_timeout(header: str | None) -> Iterator[None]:
    """Keep to the timeout that a scrape announces in its header; one that is no number does not count."""
    try:
        announced = seconds(float(header)) if header else None
    except ValueError:
        announced = None
    token = _timeout.set(announced or None)
    try:
        yield
    finally:
        _timeout.reset(token)


def seconds_left() -> float:
    """Return for how many seconds a scrape may wait for checks."""
    announced = _timeout.get()
    return settings.SCRAPE_WAIT if announced is None else min(settings.SCRAPE_WAIT, SHARE * announced)
