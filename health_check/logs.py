"""The log: says each thing once, and without secrets."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from health_check.redaction import beginning, escaped, escaped_lines, mask

logger = logging.getLogger("health_check")
logger.parent = logging.getLogger("health-check")  # what was configured for django-health-check 3.x goes on working

MOST_CHARACTERS = 50_000
"""How many characters of a traceback are logged."""

MOST = 1000
"""How many things to remember as said."""

_said: dict[str, str] = {}


def details(error: BaseException | None) -> str:
    """Return the masked traceback of an exception, on lines of its own; nothing for None."""
    if error is None:
        return ""
    lines = beginning("".join(traceback.format_exception(error)), MOST_CHARACTERS).rstrip().split("\n")
    return "".join(f"\n  {escaped(line)}" for line in lines)  # indented: a message cannot look like the next entry


def _now(step: Callable[[], object]) -> None:
    step()


_tell: Callable[[Callable[[], object]], object] = _now


def tell_by(tell: Callable[[Callable[[], object]], object] = _now) -> None:
    """Say who calls functions on a thread that nothing waits for: a handler may block."""
    global _tell
    _tell = tell


def log_beside(text: str, *arguments: object) -> None:
    """Log a warning on a thread that nothing waits for."""
    _tell(lambda: logger.warning(text, *arguments))


def log_error(text: str, error: BaseException | None = None, *, beside: bool = False) -> None:
    """Log an error of our own with its traceback.

    Args:
        text: What is wrong.
        error: The exception behind it.
        beside: Whether to do that on a thread that nothing waits for.
    """
    line, behind = escaped_lines(mask(text)), details(error)
    (_tell if beside else _now)(lambda: logger.error("%s%s", line, behind))


def log_once(key: str, text: str, error: BaseException | None = None, *, beside: bool = False) -> None:
    """Log an error, unless it is what was logged last under this key: a probe meets it again and again.

    Args:
        key: What the error is about.
        text: What is wrong.
        error: The exception behind it.
        beside: Whether to do that on a thread that nothing waits for.
    """
    said = f"{text} {type(error).__qualname__}"
    if _said.get(key) == said:
        return
    if len(_said) >= MOST:
        _said.clear()
    _said[key] = said
    log_error(text, error, beside=beside)


def warn_once(key: str, text: str) -> None:
    """Log a warning, unless there was one under this key: it may name who asks, and there are many."""
    if key not in _said:
        _said[key] = text
        logger.warning("%s", escaped_lines(mask(text)))


def forget() -> None:
    """Forget what was logged, so that everything is logged again."""
    _said.clear()
