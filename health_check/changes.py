"""The log of what changes: a check that goes on failing is not news."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from health_check.definitions import Definition
from health_check.logs import logger
from health_check.records import Record, State

_repeating: list[None] = []


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Have all that is wrong logged meanwhile, news or not, for somebody who asks what it is."""
    _repeating.append(None)
    try:
        yield
    finally:
        _repeating.pop()


def log_change(
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
