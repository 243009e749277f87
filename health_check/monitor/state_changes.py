"""What is reported of runs and changes of state: signals and log lines. Neither may delay anything else."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.dispatch import Signal

from health_check.concurrency.clock import Clock
from health_check.concurrency.connections import close_connections
from health_check.concurrency.futures import Future
from health_check.concurrency.worker import Step, Worker
from health_check.conf import settings
from health_check.logs import log_once, logger
from health_check.records import Record, Result, State
from health_check.redaction import escaped, escaped_lines
from health_check.registry.definitions import Definition
from health_check.runner.run import Run
from health_check.signals import check_finished, state_changed

EVENT_NAME = "health_check.state_change"
"""What the log of a change of state is called, among other events."""

MOST_WAITING = 1000
"""How many calls may wait for receivers or a log that hang; further ones are dropped."""


class Notifier:
    """Write log lines and send signals, one after the other, on a thread that is started when there is something to do.

    Args:
        clock: Returns the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._worker = Worker(clock, "notify")
        self._waiting = 0
        self._has_dropped = False

    def tell(self, step: Step) -> None:
        """Have a step done that may take long: it logs, say, or calls code of the site's.

        Where checks run in the thread that asks, it is done in this one.
        """
        if _is_inline():
            step()
            return
        if self._waiting >= MOST_WAITING:
            self._has_dropped = True
            return
        self._waiting += 1

        def tell() -> None:
            try:
                step()
            finally:
                self._waiting -= 1  # only now: a flush waits for the call in progress, too
                close_connections()
            if self._has_dropped:  # said when the log or the receiver is there again
                self._has_dropped = False
                log_once(
                    "signals", "Signals and log lines of the health checks were dropped: a receiver took too long."
                )

        try:
            self._worker.submit(tell)
        except RuntimeError:  # there is no thread: the caller does it
            self._waiting -= 1
            step()

    def flush(self, seconds: float) -> None:
        """Wait until all calls that were added before have ended, some seconds at most."""
        told: Future[None] = Future()
        if self._waiting:
            self.tell(lambda: told.set_result(None))
            told.wait(seconds)

    def close(self) -> None:
        """Have the thread end when it has done all that was added before."""
        self._worker.leave()


def _is_inline() -> bool:
    try:
        return settings.MAX_CONCURRENCY == 0
    except ImproperlyConfigured:  # which is reported elsewhere
        return False


def is_news(previous: Record | None, record: Record) -> bool:
    """Return whether a run needs a log line or a signal."""
    return bool(check_finished.receivers or state_changed.receivers or _is_to_be_logged(previous, record))


def tell_of(run: Run, previous: Record | None, record: Record) -> None:
    """Log the change of state that a run has brought, if it has, and send the signals.

    Args:
        run: The run.
        previous: The record of its check before.
        record: Its record now.
    """
    log_transition(run.definition, previous, record, run.traceback, cause=run.cause, within=run.observer.attach)
    if not (check_finished.receivers or state_changed.receivers):
        return
    _send(
        {
            "sender": run.definition.check_class,
            "label": run.definition.label,
            "result": record.result,
            "record": record,
            "previous_state": previous.result.state if previous is not None else State.UNKNOWN,
        }
    )


def _send(arguments: dict[str, Any]) -> None:
    finished = {name: value for name, value in arguments.items() if name != "previous_state"}
    _send_safely(check_finished, finished)
    state = arguments["result"].state
    if state is not arguments["previous_state"]:
        _send_safely(state_changed, {**arguments, "state": state})


def _send_safely(signal: Signal, arguments: dict[str, Any]) -> None:
    try:
        signal.send_robust(**arguments)
    except (Exception, SystemExit) as error:  # what Django lets through
        log_once("receivers", "A receiver of the signals of the health checks tried to end the process.", error)


_repeating: list[None] = []


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Have all that is wrong logged meanwhile, news or not, for somebody who asks what it is."""
    _repeating.append(None)
    try:
        yield
    finally:
        _repeating.pop()


def log_transition(
    definition: Definition,
    previous: Record | None,
    record: Record,
    traceback: str,
    *,
    cause: str = "",
    within: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> None:
    """Log a change of state, once; what is wrong each time while ``repeated``.

    Args:
        definition: The check.
        previous: Its record before the run.
        record: Its record now.
        traceback: That of what nobody expected, masked; empty without such.
        cause: A line in place of the traceback of what the check expects, but while ``repeated``.
        within: Makes a context to log in, that of the run's span say.
    """
    if not _is_to_be_logged(previous, record):
        return
    result, before = record.result, previous.result.state if previous else State.OK
    is_error = result.state in (State.ERROR, State.UNKNOWN)
    level = logging.ERROR if is_error else logging.WARNING  # a recovery, too: who read of the failure is to read of it
    told_twice = f"{result.state.value}: "
    texts = "; ".join(escaped_lines(message.text).removeprefix(told_twice) for message in result.messages)
    with within():
        logger.log(
            level,
            "%s is %s%s%s",
            escaped(definition.label),
            result.state.value,
            f": {texts}" if texts else "",
            f" ({escaped_lines(cause)})" if cause and not _repeating else traceback,
            extra={
                "check": definition.label,
                "state": result.state.value,
                "previous_state": before.value,
                **_attributes(definition, result, before, traceback),
            },
        )


def _attributes(definition: Definition, result: Result, before: State, traceback: str) -> dict[str, str]:
    """Return what a log record says under the names of the spans' attributes, as OpenTelemetry has them."""
    found = {
        "event.name": EVENT_NAME,
        "health_check.name": definition.label,
        "health_check.state": result.state.value,
        "health_check.previous_state": before.value,
        "exception.type": result.error_type or "",
        "exception.stacktrace": textwrap.dedent(traceback).strip(),
    }
    return {name: value for name, value in found.items() if value}


def _is_to_be_logged(previous: Record | None, record: Record) -> bool:
    result, before = record.result, previous.result if previous else None
    if result.state is not (before.state if before else State.OK):
        return True
    is_other = before is not None and before.error_type != result.error_type
    return is_other or (bool(_repeating) and result.state is not State.OK)
