"""The report: the checks of an endpoint as they are at one moment, and what they amount to."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping, Sequence

from health_check.conf import settings
from health_check.logs import log_once
from health_check.records import Message, Record, State, unavailable
from health_check.registry.check_set import CheckSet, Member
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint
from health_check.registry.policies import MOST_TAGS

OK_WORDS = {None: "OK", "3.20": "working"}
"""What is said of a check that is ok, by ``HEALTH_CHECK["COMPAT"]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A check as it is at one moment."""

    definition: Definition
    """The check."""
    record: Record | None
    """What is known of it; None if it has not run yet."""
    state: State
    """How it is; ``unknown`` if what is known is too old."""
    messages: tuple[Message, ...]
    """What is wrong; empty exactly while the state is ``ok``."""
    in_progress: bool
    """Whether a run is under way, or stuck."""
    starting: bool = False
    """Whether it waits for a free thread, or had to, as the process has just started: that counts against nobody."""
    is_behind: bool = False
    """Whether the store was not asked about it in time, or left, so that other processes may have counted more runs."""

    @property
    def label(self) -> str:
        """The name of the check."""
        return self.definition.label

    @property
    def status(self) -> int:
        """1 while the state is ``ok``, else 0."""
        return int(self.state is State.OK)

    @property
    def pretty_status(self) -> str:
        """``"OK"``, or what is wrong, one thing a line; of a check that has its own, what that said."""
        result = self.record.result if self.record else None
        if result is not None and result.pretty_status is not None and result.messages == self.messages:
            return result.pretty_status
        return "\n".join(message.text for message in self.messages) or OK_WORDS[settings.COMPAT]

    @property
    def time_taken(self) -> float | None:
        """How long the last run took, in seconds; None if there was none."""
        return self.record.result.time_taken if self.record else None

    @property
    def finished(self) -> float | None:
        """When the last run ended, Unix time in seconds; None if there was none."""
        return self.record.result.finished if self.record else None

    @property
    def stuck_pid(self) -> int | None:
        """The id of the process in which a run hangs beyond its time budget; None if none does."""
        result = self.record.result if self.record else None
        return result.pid if result is not None and result.timed_out and self.in_progress else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A check as a part of an endpoint's report."""

    reading: Reading
    """The check."""
    critical: bool
    """Whether its failure makes the endpoint fail."""
    counts: bool
    """Whether it makes the endpoint fail now."""

    @property
    def is_fine(self) -> bool:
        """Whether nobody need look at it: it is ok, or it warns where it is not critical."""
        return self.reading.state is State.OK or (self.reading.state is State.WARNING and not self.critical)


DRAINING_STATUS = 503
"""The HTTP status of readiness endpoints while their host is drained."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """An endpoint as it is at one moment."""

    name: str
    """The name of the endpoint."""
    rows: tuple[Row, ...]
    """Its checks, in its order."""
    status_code: int
    """The HTTP status it answers with."""
    details: bool = True
    """Whether it has messages, or only states."""
    draining: bool = False
    """Whether it fails because its host is drained, however its checks are."""

    @property
    def healthy(self) -> bool:
        """Whether nothing counts against the endpoint."""
        return not self.draining and not any(row.counts for row in self.rows)

    @property
    def notices(self) -> Mapping[str, Message]:
        """What is wrong besides the checks, by name."""
        return {"draining": unavailable("this host is drained")} if self.draining else {}

    def only(self, wanted: Container[str]) -> Report:
        """Return the report on some of the checks.

        Args:
            wanted: Their labels.
        """
        rows = tuple(row for row in self.rows if row.reading.label in wanted)
        fails = self.draining or any(row.counts for row in rows)
        return dataclasses.replace(self, rows=rows, status_code=self.status_code if fails else 200)

    def without_details(self) -> Report:
        """Return the report with states instead of messages."""
        rows = tuple(dataclasses.replace(row, reading=_without_details(row.reading)) for row in self.rows)
        return dataclasses.replace(self, rows=rows, details=False)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The checks, in the endpoint's order."""
        return tuple(row.reading for row in self.rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overview:
    """Several endpoints as they are at one moment, their checks each once."""

    readings: tuple[Reading, ...]
    """The checks."""
    reports: tuple[Report, ...]
    """The endpoints."""

    @property
    def tag_names(self) -> tuple[str, ...]:
        """The names of the tags that any check has, ``MOST_TAGS`` at most: they are the same labels for all."""
        names = sorted({name for reading in self.readings for name in reading.definition.tags})
        if len(names) > MOST_TAGS:
            log_once("tags", f"Of the tags of checks, these are no labels of metrics: {', '.join(names[MOST_TAGS:])}.")
        return tuple(names[:MOST_TAGS])


def overview_of(
    endpoints: Iterable[Endpoint], check_set: CheckSet, readings: tuple[Reading, ...], *, draining: bool = False
) -> Overview:
    """Return the overview of some endpoints, given the readings of their checks, and whether their host is drained."""
    reports = (report_on(endpoint, check_set, readings, draining=draining) for endpoint in endpoints)
    return Overview(readings=readings, reports=tuple(reports))


def report_on(
    endpoint: Endpoint, check_set: CheckSet, readings: Sequence[Reading], *, draining: bool = False
) -> Report:
    """Return the report of an endpoint: the one place where 200, 500 or 503 is decided.

    Args:
        endpoint: The endpoint.
        check_set: Says which checks it has.
        readings: Those checks, and maybe others, as they are.
        draining: Whether the host is drained.
    """
    draining = draining and endpoint.is_readiness
    by_label = {reading.label: reading for reading in readings}
    strict = endpoint.option("warnings_as_errors")
    strict = settings.WARNINGS_AS_ERRORS if strict is None else strict
    rows = tuple(_row(member, by_label[member.label], strict) for member in check_set.members[endpoint])
    status_code = endpoint.option("error_status_code") if any(row.counts for row in rows) else 200
    return Report(
        name=endpoint.name, rows=rows, status_code=DRAINING_STATUS if draining else status_code, draining=draining
    )


def _without_details(reading: Reading) -> Reading:
    record = reading.record
    if record is not None:
        messages = _bare(record.result.messages, record.result.state)
        result = dataclasses.replace(record.result, messages=messages, pretty_status=None)
        record = record._replace(result=result)
    return dataclasses.replace(reading, messages=_bare(reading.messages, reading.state), record=record)


def _bare(messages: Sequence[Message], state: State) -> tuple[Message, ...]:
    return tuple(dataclasses.replace(message, text=state.value) for message in messages[:1])


def _row(member: Member, reading: Reading, warnings_count: bool) -> Row:
    harmless = reading.state is State.OK or reading.starting or (reading.state is State.WARNING and not warnings_count)
    return Row(reading=reading, critical=member.critical, counts=member.critical and not harmless)
