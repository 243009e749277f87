"""The metrics of the states of checks and endpoints: they read the records each time the SDK collects."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from health_check.conf import settings
from health_check.extensions import Trigger, process_info, sends_metrics, triggered_by
from health_check.logs import log_once
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview, Reading
from health_check.monitor.runtime import read, store_summary
from health_check.records import Outcome, State
from health_check_opentelemetry.scope import meter_of

NAME, STATE, URL_NAME = "health_check.name", "health_check.state", "health_check.url_name"

COLLECTION_SECONDS = 1.0
"""How long after a reading the next instrument may be asked and still be part of the same collection."""

Read: TypeAlias = tuple[Overview, StoreSummary]
Observed: TypeAlias = Callable[[Overview, StoreSummary], Iterator[Observation]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instrument:
    """An observable instrument, as OpenTelemetry's guide on the names of metrics has it.

    Source: https://opentelemetry.io/docs/specs/semconv/general/metrics/
    """

    kind: str
    """``up_down_counter`` for what is 1 or 0, so that sums over checks mean something; ``gauge``; ``counter``."""
    unit: str
    """Its unit, by UCUM."""
    description: str
    """What it says."""
    observed: Observed
    """Reads it from the records."""


def observe(meter_provider: MeterProvider | None = None) -> None:
    """Have the records observed by a meter provider; default the global one, of now or later."""
    meter, collection = meter_of(meter_provider), _Collection()
    for name, instrument in INSTRUMENTS.items():
        create = getattr(meter, f"create_observable_{instrument.kind}")
        create(name, [_callback(collection, instrument.observed)], instrument.unit, instrument.description)


class _Collection(threading.local):
    """What is read for one collection, whose instruments are asked one after the other: they are to agree."""

    def __init__(self) -> None:
        self._found: Read | None = None
        self._read_at = 0.0
        self._shown: set[Observed] = set()

    def read(self, observed: Observed) -> Read:
        """Return the reading of this collection, for an instrument that has not shown it yet."""
        is_over = observed in self._shown or time.monotonic() - self._read_at > COLLECTION_SECONDS
        if self._found is None or is_over:
            with triggered_by(Trigger.COLLECTION):
                overview = read(wait=settings.SCRAPE_WAIT)
            self._found = overview, store_summary(overview.readings)
            self._read_at = time.monotonic()
            self._shown = set()
        self._shown.add(observed)
        return self._found


def _callback(collection: _Collection, observed: Observed) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(options: CallbackOptions) -> Iterable[Observation]:
        if not threading.main_thread().is_alive():
            return []  # the SDK collects once more as a process exits, be it a short command: nothing is run for that
        try:
            return list(observed(*collection.read(observed))) if sends_metrics() else []
        except Exception as error:
            log_once("gauges", "The OpenTelemetry metrics of the health checks could not be collected.", error)
            return []

    return callback


def _of_checks(value_of: Callable[[Reading], float | None]) -> Observed:
    """Return what reads one value of each check, where there is one."""

    def observed(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
        for reading in overview.readings:
            value = value_of(reading)
            if value is not None:
                yield Observation(value, {NAME: reading.label})

    return observed


def _of_site(value_of: Callable[[StoreSummary], bool]) -> Observed:
    """Return what reads one value of a site that has endpoints."""
    return lambda overview, summary: iter([Observation(int(value_of(summary)))] if overview.reports else [])


def _states(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    for reading in overview.readings:
        for state in State:
            yield Observation(int(reading.state is state), {NAME: reading.label, STATE: state.value})


def _endpoints(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    for report in overview.reports:
        yield Observation(int(report.healthy), {URL_NAME: report.name})


def _members(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    for report in overview.reports:
        for row in report.rows:
            critical = str(row.critical).lower()
            yield Observation(1, {URL_NAME: report.name, NAME: row.reading.label, "health_check.critical": critical})


FOR_PEOPLE = ("title", "group", "runbook")
"""What a check may say of itself for people."""


def _infos(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    names = overview.tag_names
    for definition in (reading.definition for reading in overview.readings):
        attributes: Mapping[str, str] = {
            NAME: definition.label,
            "health_check.backend": definition.backend,
            "health_check.scope": definition.scope,
            **{f"health_check.{name}": text for name in FOR_PEOPLE if (text := getattr(definition, name))},
            **{f"health_check.tag.{name}": definition.tags.get(name, "") for name in names},
        }
        yield Observation(1, attributes)


def _runs(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    for label, totals in summary.totals.items():
        for outcome in Outcome:
            yield Observation(totals.runs[outcome], {NAME: label, "health_check.outcome": outcome.value})


def _process(overview: Overview, summary: StoreSummary) -> Iterator[Observation]:
    if overview.reports:
        yield Observation(1, {PROCESS_ATTRIBUTES[name]: value for name, value in process_info().items()})


PROCESS_ATTRIBUTES = {
    "role": "health_check.role",
    "version": "health_check.version",
    "django": "health_check.django_version",
    "python": "health_check.python_version",
    "store": "health_check.store",
    "host": "health_check.host",
}
"""The attributes that say what a process is."""


TIMES: Mapping[str, tuple[str, Callable[[Reading], float | None]]] = {
    "health_check.check.time_taken": (
        "How long a check took, as of its last run.",
        lambda reading: reading.time_taken,
    ),
    "health_check.check.last_run.timestamp": (
        "When the last run of a check ended, Unix time.",
        lambda reading: reading.finished,
    ),
    "health_check.check.last_success.timestamp": (
        "When the last run of a check that was ok ended, Unix time.",
        lambda reading: reading.record.last_success if reading.record else None,
    ),
    "health_check.check.last_transition.timestamp": (
        "When the state of a check last became another one, Unix time.",
        lambda reading: reading.record.last_transition if reading.record else None,
    ),
    "health_check.check.timeout": (
        "The time budget of a run of a check.",
        lambda reading: reading.definition.timeout,
    ),
    "health_check.check.max_age": (
        "For how long a result of a check counts as fresh.",
        lambda reading: reading.definition.max_age,
    ),
}
"""The gauges of a check in seconds: what they are, and their value, None where there is none."""

INSTRUMENTS: Mapping[str, Instrument] = {
    **{
        name: Instrument(kind="gauge", unit="s", description=text, observed=_of_checks(value_of))
        for name, (text, value_of) in TIMES.items()
    },
    "health_check.check.status": Instrument(
        kind="up_down_counter",
        unit="{check}",
        description="Which state a check is in: 1 for that state, 0 for the others.",
        observed=_states,
    ),
    "health_check.check.in_progress": Instrument(
        kind="up_down_counter",
        unit="{run}",
        description="Whether a run of a check is under way or stuck (1) or not (0).",
        observed=_of_checks(lambda reading: int(reading.in_progress)),
    ),
    "health_check.check.stuck_pid": Instrument(
        kind="gauge",
        unit="{process}",
        description="The id of the process in which a run of a check hangs beyond its time budget; absent else.",
        observed=_of_checks(lambda reading: reading.stuck_pid),
    ),
    "health_check.check.runs": Instrument(
        kind="counter",
        unit="{run}",
        description="How many runs of a check ended, by outcome, in all processes that share the records.",
        observed=_runs,
    ),
    "health_check.check.info": Instrument(
        kind="up_down_counter",
        unit="{check}",
        description="What a check is; always 1.",
        observed=_infos,
    ),
    "health_check.endpoint.status": Instrument(
        kind="up_down_counter",
        unit="{endpoint}",
        description="Whether an endpoint answers 200 (1) or not (0).",
        observed=_endpoints,
    ),
    "health_check.endpoint.check.info": Instrument(
        kind="up_down_counter",
        unit="{check}",
        description="Which checks an endpoint has, and whether they are critical to it; always 1.",
        observed=_members,
    ),
    "health_check.process.info": Instrument(
        kind="up_down_counter",
        unit="{process}",
        description="What a process is: its role, versions, store and host; always 1.",
        observed=_process,
    ),
    "health_check.store.up": Instrument(
        kind="up_down_counter",
        unit="{store}",
        description="Whether the store of the records could be read (1) or not (0).",
        observed=_of_site(lambda summary: summary.up),
    ),
    "health_check.draining": Instrument(
        kind="up_down_counter",
        unit="{host}",
        description="Whether this host is drained (1), so that its readiness endpoints answer 503, or not (0).",
        observed=_of_site(lambda summary: summary.draining),
    ),
}
"""What is observed, by name."""
