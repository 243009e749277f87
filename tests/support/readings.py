"""Makers of readings and reports, for the tests of what renders them."""

from __future__ import annotations

import time

from health_check.backends import HealthCheck
from health_check.monitor.reports import Reading, Report, Row
from health_check.records import Message, Record, Result, State, state_of
from health_check.registry.definitions import Definition
from health_check.registry.policies import Policy


def definition(label: str, check: HealthCheck | None = None) -> Definition:
    """Return the definition of a check of this label."""
    check = check if check is not None else HealthCheck()
    return Definition(
        label=label,
        check_class=type(check),
        build=lambda: check,
        prototype=check,
        options={},
        policies=(Policy(timeout=5, max_age=10),),
    )


def reading(
    label: str,
    *errors: object,
    finished: float | None = None,
    time_taken: float = 0.25,
    check: HealthCheck | None = None,
) -> Reading:
    """Return the reading of a check that ran, at that Unix time, and had these errors."""
    finished = time.time() if finished is None else finished
    messages = tuple(Message.of(error) for error in errors)
    result = Result(
        messages=messages,
        time_taken=time_taken,
        started=finished - time_taken,
        finished=finished,
        host="host",
        pid=1,
    )
    return Reading(
        definition=definition(label, check),
        record=Record.after(None, result, max_age=10),
        state=state_of(messages),
        messages=messages,
        in_progress=False,
    )


def unknown(label: str, error: Exception) -> Reading:
    """Return the reading of a check that never ran."""
    return Reading(
        definition=definition(label),
        record=None,
        state=State.UNKNOWN,
        messages=(Message.of(error),),
        in_progress=True,
    )


def row(what: Reading, *, critical: bool = True) -> Row:
    """Return the row of a reading, counting if it is critical and not ok."""
    return Row(reading=what, critical=critical, counts=critical and what.state is not State.OK)


def report(*rows: Row) -> Report:
    """Return the report of an endpoint."""
    failing = any(item.counts for item in rows)
    return Report(name="health", rows=rows, status_code=500 if failing else 200)
