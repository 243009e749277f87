"""The log of what changes."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.state_changes import log_transition, repeated
from health_check.records import Message, Record, Result
from tests.support.places import result_at
from tests.support.readings import definition

OK = result_at(100.0)
WARNING = result_at(100.0, Message.of(ServiceWarning("soon")))
ERROR = result_at(100.0, Message.of(ServiceUnavailable("gone")), Message.of("other"))


def typed(result: Result, error_type: str) -> Record:
    """Return the record of a result whose exception was of this type."""
    return Record.after(None, dataclasses.replace(result, error_type=error_type), max_age=10)


def logged(
    caplog: pytest.LogCaptureFixture, previous: Record | None, record: Record, traceback: str = ""
) -> list[tuple[str, str]]:
    """Log a change and return what was said, with its level."""
    caplog.set_level(logging.DEBUG, "health_check")
    log_transition(definition("Database"), previous, record, traceback)
    return [(entry.levelname, entry.getMessage()) for entry in caplog.records]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, OK, []),
        (None, WARNING, [("WARNING", "Database is warning: soon")]),
        (None, ERROR, [("ERROR", "Database is error: unavailable: gone; unknown error: other")]),
        (OK, OK, []),
        (OK, ERROR, [("ERROR", "Database is error: unavailable: gone; unknown error: other")]),
        (ERROR, ERROR, []),
        (WARNING, WARNING, []),
        (ERROR, WARNING, [("WARNING", "Database is warning: soon")]),
        (WARNING, ERROR, [("ERROR", "Database is error: unavailable: gone; unknown error: other")]),
        (ERROR, OK, [("WARNING", "Database is ok")]),
    ],
)
def test_log_change__table(
    before: Result | None, after: Result, said: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """Each change of state is said once, a recovery where consoles show it; that a check is ok at first is no news."""
    previous = Record.after(None, before, max_age=10) if before is not None else None
    assert logged(caplog, previous, Record.after(previous, after, max_age=10)) == said


def test_log_change__same_state__another_exception(caplog: pytest.LogCaptureFixture) -> None:
    """A check that fails in another way is news, with its traceback; in the same way it is not."""
    assert logged(caplog, typed(ERROR, "OSError"), typed(ERROR, "OSError"), "\nOSError: gone") == []
    ((level, text),) = logged(caplog, typed(ERROR, "OSError"), typed(ERROR, "ZeroDivisionError"), "\nZeroDivisionError")
    assert level == "ERROR"
    assert text.endswith("\nZeroDivisionError")


def test_log_change__expected_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Of a failure that the check explains the log has one line, with its cause; who asks gets the traceback."""
    record = Record.after(None, ERROR, max_age=10)
    caplog.set_level(logging.DEBUG, "health_check")
    log_transition(definition("Database"), None, record, "\nTraceback", cause="OSError: gone")
    with repeated():
        log_transition(definition("Database"), None, record, "\nTraceback", cause="OSError: gone")
    said, asked = (entry.getMessage() for entry in caplog.records)
    assert said == "Database is error: unavailable: gone; unknown error: other (OSError: gone)"
    assert asked == "Database is error: unavailable: gone; unknown error: other\nTraceback"


@pytest.mark.parametrize(("result", "is_said"), [(OK, False), (WARNING, True), (ERROR, True)])
def test_repeated__same_state(result: Result, is_said: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What goes on being wrong is said again to somebody who asks; that all is in order is not."""
    before = Record.after(None, result, max_age=10)
    after = Record.after(before, result, max_age=10)
    with repeated():
        assert bool(logged(caplog, before, after, "\nTraceback")) == is_said
    assert caplog.text.count("Traceback") == is_said
    caplog.clear()
    assert logged(caplog, before, after) == []
