"""What is told of runs and changes of state: the signals, and the log. Neither may hold up anybody."""

from __future__ import annotations

import contextlib
import logging
import queue
from collections.abc import Callable, Iterator
from typing import Any

from django.dispatch import Signal

from health_check.concurrency import threads
from health_check.concurrency.connections import close_connections
from health_check.conf import settings
from health_check.logs import log_once, logger
from health_check.records import Record, State
from health_check.registry.definitions import Definition
from health_check.signals import check_finished, state_changed

MOST_WAITING = 1000
"""How many signals may wait for receivers that hang; further ones are dropped."""

IDLE_SECONDS = 60.0
"""How long the thread waits for something to send before it ends."""


class SignalSender:
    """Send signals one after the other, on a thread that is started when there is something to send."""

    def __init__(self) -> None:
        self._lock = threads.new_lock()
        self._waiting: queue.SimpleQueue[dict[str, Any]] = threads.new_queue()
        self._awake = False

    def send_signals(self, definition: Definition, previous: Record | None, record: Record) -> None:
        """Send the signals of the outcome of a run.

        Args:
            definition: The check.
            previous: Its record before.
            record: Its record now.
        """
        if not (check_finished.receivers or state_changed.receivers):
            return
        arguments = {
            "sender": definition.check_class,
            "label": definition.label,
            "result": record.result,
            "record": record,
            "previous_state": previous.result.state if previous is not None else State.UNKNOWN,
        }
        if settings.MAX_CONCURRENCY == 0:
            _send(arguments)
        elif self._waiting.qsize() >= MOST_WAITING:
            log_once("signals", "Signals of the health checks are dropped: a receiver takes too long.")
        else:
            self._waiting.put(arguments)
            self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._awake:
                return
            self._awake = True
        try:
            threads.start(self._work, "signals")
        except RuntimeError as error:
            self._awake = False
            log_once("signals", "No thread could be started to send the signals of the health checks.", error)

    def _work(self) -> None:
        while True:
            try:
                arguments = self._waiting.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._awake = False
                        return
                continue
            _send(arguments)
            close_connections()


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
    within: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> None:
    """Log a change of state, once; what is wrong each time while ``repeated``.

    Args:
        definition: The check.
        previous: Its record before the run.
        record: Its record now.
        traceback: That of what nobody expected, masked; empty without such.
        within: Makes a context to log in, that of the run's span say.
    """
    result, before = record.result, previous.result.state if previous else State.OK
    is_news = result.state is not before or (previous is not None and previous.result.error_type != result.error_type)
    if not is_news and (result.state is State.OK or not _repeating):
        return
    level = {State.OK: logging.INFO, State.WARNING: logging.WARNING}.get(result.state, logging.ERROR)
    texts = "; ".join(message.text for message in result.messages)
    with within():
        logger.log(
            level,
            "%s is %s%s%s",
            definition.label,
            result.state.value,
            f": {texts}" if texts else "",
            traceback,
            extra={"check": definition.label, "state": result.state.value, "previous_state": before.value},
        )
