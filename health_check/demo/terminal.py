"""What the demo prints: a line for each change of state."""

from __future__ import annotations

import datetime
import os
import sys
from typing import Any

from health_check.demo.settings import HOST
from health_check.records import Record, Result, State
from health_check.signals import state_changed

COLORS = {State.OK: "32", State.WARNING: "33", State.ERROR: "31", State.UNKNOWN: "35"}
"""The terminal's colours of the states, by their ANSI numbers."""


def print_changes() -> None:
    """Print a line for each change of state from now on."""
    state_changed.connect(_print, dispatch_uid="demo")


def line_of(label: str, previous: State, state: State, result: Result, *, colored: bool) -> str:
    """Return the line of a change of state.

    Args:
        label: The check.
        previous: The state it was in.
        state: The state it is in.
        result: The run that found that.
        colored: Whether the terminal shows colours.
    """
    time = datetime.datetime.fromtimestamp(result.finished).astimezone().strftime("%H:%M:%S")
    shown = f"{state.value:<7}"
    if colored:
        shown = f"\033[{COLORS[state]}m{shown}\033[0m"
    why = "; ".join(message.text for message in result.messages)
    return f"{time}  {HOST}  {label:<10} {previous.value:>7} -> {shown}  {why}".rstrip()


def _print(
    sender: object, *, label: str, previous_state: State, state: State, result: Result, record: Record, **kwargs: Any
) -> None:
    if previous_state is State.UNKNOWN and state is State.OK:
        return  # the first run of a check that is ok is no change
    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(line_of(label, previous_state, state, result, colored=colored), flush=True)
