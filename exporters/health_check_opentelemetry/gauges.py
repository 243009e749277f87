"""The metrics that tell how checks and endpoints are: they read the records whenever the SDK collects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

import health_check
from health_check.conf import settings
from health_check.extensions import Trigger, triggered_by
from health_check.logs import log_once
from health_check.monitor.reports import Overview
from health_check.monitor.runtime import read
from health_check.records import State

STATUS = "health_check.check.status"
TIME_TAKEN = "health_check.check.time_taken"
ENDPOINT_STATUS = "health_check.endpoint.status"

COLLECTION_SECONDS = 1.0
"""How long after a reading the next instrument may be asked and still be part of the same collection."""

Observed = Callable[[Overview], Iterator[Observation]]


def observe(scope: str, meter_provider: MeterProvider | None = None) -> None:
    """Have the records observed by one meter provider.

    Args:
        scope: The instrumentation scope.
        meter_provider: The meter provider; default the global one, of now or later.
    """
    meter: Meter = metrics.get_meter(scope, health_check.__version__, meter_provider)
    collection = _Collection()
    meter.create_observable_up_down_counter(
        STATUS,
        [_callback(collection, _states)],
        "{check}",
        "Which state a check is in: 1 for that state, 0 for the others.",
    )
    meter.create_observable_gauge(
        TIME_TAKEN, [_callback(collection, _times_taken)], "s", "How long a check took, as of its last run."
    )
    meter.create_observable_up_down_counter(
        ENDPOINT_STATUS,
        [_callback(collection, _endpoints)],
        "{endpoint}",
        "Whether an endpoint answers 200 (1) or not (0).",
    )


class _Collection(threading.local):
    """What is read for one collection, whose instruments are asked one after the other: they are to agree."""

    def __init__(self) -> None:
        self._overview: Overview | None = None
        self._read_at = 0.0
        self._shown: set[Observed] = set()

    def overview(self, observed: Observed) -> Overview:
        """Return the reading of this collection, for an instrument that has not shown it yet."""
        is_over = observed in self._shown or time.monotonic() - self._read_at > COLLECTION_SECONDS
        if self._overview is None or is_over:
            with triggered_by(Trigger.SCRAPE):
                self._overview = read(wait=settings.SCRAPE_WAIT)
            self._read_at = time.monotonic()
            self._shown = set()
        self._shown.add(observed)
        return self._overview


def _callback(collection: _Collection, observed: Observed) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(options: CallbackOptions) -> Iterable[Observation]:
        if not threading.main_thread().is_alive():
            return []  # the SDK collects once more as a process exits, be it a short command: nothing is run for that
        try:
            return list(observed(collection.overview(observed)))
        except Exception as error:
            log_once("gauges", "The OpenTelemetry metrics of the health checks could not be collected.", error)
            return []

    return callback


def _states(overview: Overview) -> Iterator[Observation]:
    for reading in overview.readings:
        for state in State:
            attributes = {"health_check.name": reading.label, "health_check.state": state.value}
            yield Observation(int(reading.state is state), attributes)


def _times_taken(overview: Overview) -> Iterator[Observation]:
    for reading in overview.readings:
        if reading.time_taken is not None:
            yield Observation(reading.time_taken, {"health_check.name": reading.label})


def _endpoints(overview: Overview) -> Iterator[Observation]:
    for report in overview.reports:
        yield Observation(int(report.healthy), {"health_check.url_name": report.name})
