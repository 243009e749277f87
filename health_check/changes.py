"""The log of what changes: a check that goes on failing is not news."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from health_check.definitions import Definition
from health_check.logs import logger
from health_check.records import Record, State


def log_change(
    definition: Definition,
    previous: Record | None,
    record: Record,
    traceback: str,
    *,
    within: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> None:
    """Log a change of state, once.

    Args:
        definition: The check.
        previous: Its record before the run.
        record: Its record now.
        traceback: That of what nobody expected, masked; empty without such.
        within: Makes a context to log in, that of the run's span say.
    """
    result, before = record.result, previous.result.state if previous else State.OK
    if result.state is before and (previous is None or previous.result.error_type == result.error_type):
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
