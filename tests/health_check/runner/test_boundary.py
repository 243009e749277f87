"""What an execution leaves for the log."""

from __future__ import annotations

import pytest

from health_check.backends import HealthCheck
from health_check.exceptions import Misconfigured, ServiceUnavailable
from health_check.registry.entries import parse
from health_check.runner.boundary import ExecutionResult, execute


def ending_of(error: Exception) -> ExecutionResult:
    """Return how a check ends that raises this."""

    class Raising(HealthCheck):
        def check_status(self) -> None:
            raise error

    return execute(parse(Raising).define())


@pytest.mark.parametrize("cause", [None, OSError("no route")])
def test_details__of_the_cause_only(cause: Exception | None) -> None:
    """An error that a check tells of itself needs no traceback; what is behind it does."""
    error = ServiceUnavailable("gone")
    error.__cause__ = cause
    details = ending_of(error).details
    assert ("OSError: no route" in details) is (cause is not None)
    assert "ServiceUnavailable" not in details


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (
            ServiceUnavailable("gone"),
            OSError("redis://:hunter2@cache\nmore"),
            "OSError: redis://***@cache",
        ),
        (ServiceUnavailable("gone"), KeyError(), "KeyError"),
        (ServiceUnavailable("gone"), None, ""),
        (ZeroDivisionError("x"), OSError("y"), ""),
        (Misconfigured("see the log"), OSError("y"), ""),
    ],
)
def test_cause__in_a_line(error: Exception, cause: Exception | None, said: str) -> None:
    """What is behind a failure that the check explains is told in a line; all else needs its traceback."""
    error.__cause__ = cause
    assert ending_of(error).cause == said


def test_details__of_what_nobody_expected() -> None:
    """Any other exception comes with its traceback, its secrets masked."""
    execution_result = ending_of(ZeroDivisionError("password=hunter2"))
    assert execution_result.error_type == "ZeroDivisionError"
    assert "\n  ZeroDivisionError: password=***" in execution_result.details
    assert "hunter2" not in execution_result.details


def test_messages__of_a_check_that_waits_for_greenlets() -> None:
    """What uses a pool of gevent's on a thread is told what to do; gevent only says that it would wait for ever."""
    gevent_exceptions = pytest.importorskip("gevent.exceptions")
    loop_exit = gevent_exceptions.LoopExit
    hidden = OSError("a client's own")
    hidden.__cause__ = loop_exit("This operation would block forever")

    class Constructed(HealthCheck):
        def __init__(self) -> None:
            if is_defined:
                raise loop_exit("This operation would block forever")

    is_defined = False
    definition = parse(Constructed).define()
    is_defined = True
    errors = (hidden.__cause__, hidden, gevent_exceptions.InvalidThreadUseError("of another hub"))
    for ending in (*map(ending_of, errors), execute(definition)):
        (message,) = ending.messages
        assert message.text.startswith("misconfigured: the check waits for greenlets")
    said = ServiceUnavailable("what the check says")
    said.__cause__ = hidden
    assert [message.text for message in ending_of(said).messages] == ["unavailable: what the check says"]
