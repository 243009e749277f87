"""The log of a change of state: in the context of the span of the run that brought it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import pytest
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import SECONDS, Script
from tests.support.recording import Spans, ids

Logged = InMemoryLogRecordExporter


@pytest.fixture
def logged() -> Iterator[Logged]:
    """What the SDK's handler makes of our log."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # another package has it, too
        handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("health_check")
    logger.addHandler(handler)
    yield exporter
    logger.removeHandler(handler)
    provider.shutdown()


def only(logged: Logged) -> ReadableLogRecord:
    """Return the only record."""
    runtime.flush(SECONDS)
    [found] = logged.get_finished_logs()
    return found


def assert_within(record: ReadableLogRecord, spans: Spans, label: str) -> None:
    """Check that a record belongs to the span of a check."""
    assert (record.log_record.trace_id, record.log_record.span_id) == ids(spans.of_check(label))


def raising() -> None:
    """Raise what nobody expects, with a secret."""
    raise LookupError("no answer from redis://user:geheim@host/0")


class Blown(HealthCheck):
    """Raises what nobody expected."""

    def check_status(self) -> None:
        raising()


class BlownAsync(HealthCheck):
    """Does so on the event loop."""

    async def check_status(self) -> None:
        raising()


class Wrapped(HealthCheck):
    """Says what is wrong, on account of what nobody expected."""

    def check_status(self) -> None:
        try:
            raising()
        except LookupError as error:
            raise ServiceUnavailable("the shop is closed: redis://user:geheim@host/0") from error


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("check", [Blown, BlownAsync, Wrapped])
def test_log__of_an_error(spans: Spans, mount_checks: Mount, logged: Logged, check: type[HealthCheck]) -> None:
    """An error is logged in its span, with the traceback, or the cause where the check explains it; without secrets."""
    mount_checks(check)
    runtime.read()
    label, record = check.__name__, only(logged)
    assert_within(record, spans, label)
    assert record.log_record.severity_text == "ERROR"
    body = str(record.log_record.body)
    assert body.startswith(f"{label} is error: ")
    behind = "(LookupError: no answer" if check is Wrapped else 'raise LookupError("no answer'
    assert behind in body
    assert ("\n" in body) is (check is not Wrapped)
    assert "geheim" not in body
    assert "geheim" not in spans.of_check(label).to_json()
    attributes = record.log_record.attributes or {}
    span = spans.of_check(label).attributes or {}
    own = {"check": label, "state": "error", "previous_state": "ok", "event.name": "health_check.state_change"}
    of_span = {name: span[name] for name in ("health_check.name", "health_check.state")}
    expected = {**own, **of_span, "exception.type": span["error.type"]}
    assert {name: attributes[name] for name in expected} == expected
    assert "raise LookupError" in str(attributes["exception.stacktrace"])  # also where the text has its cause alone


def test_log__of_a_hung_check(
    settings: Settings, spans: Spans, mount_checks: Mount, logged: Logged, hanging: type[HealthCheck]
) -> None:
    """That a check timed out is logged within its span, too."""
    settings.HEALTH_CHECK = THREADS
    mount_checks(hanging)
    runtime.read()
    record = only(logged)
    assert_within(record, spans, "Hanging")
    assert record.log_record.body == "Hanging is error: unavailable: timed out after 0.05 s"


@pytest.mark.parametrize("check", [Blown, BlownAsync])
def test_log__of_a_round_that_is_written_afterwards(
    settings: Settings, spans: Spans, mount_checks: Mount, logged: Logged, check: type[HealthCheck]
) -> None:
    """Where failures alone are traced, the log leads to the span that was written for it."""
    settings.HEALTH_CHECK = {**THREADS, "TRACES": "failures"}
    mount_checks(check)
    runtime.read()
    assert_within(only(logged), spans, check.__name__)


@pytest.mark.usefixtures("anywhere")
def test_log__of_a_change_for_the_better(
    spans: Spans, mount_checks: Mount, logged: Logged, caplog: pytest.LogCaptureFixture
) -> None:
    """That a check is ok again is logged within the span of that run."""
    mount_checks((Script(ServiceUnavailable("down"), None).define().check_class, {"name": "Recovering", "max_age": 60}))
    caplog.set_level(logging.INFO, logger="health_check")
    runtime.read()
    runtime.flush(SECONDS)
    logged.clear()
    spans.clear()
    runtime.read(force=True)
    record = only(logged)
    assert_within(record, spans, "Recovering")
    assert record.log_record.body == "Recovering is ok"
