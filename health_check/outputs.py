"""Outputs that exporters bring: where ``manage.py health_check`` sends what it found, besides printing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from health_check.reports import Overview

Output = Callable[[Overview, Mapping[str, Any]], str]
"""Sends what was found, given the options of the command, and returns a sentence that says so."""

_outputs: dict[str, Output] = {}


class OutputError(Exception):
    """Tell why something could not be sent, and what to do."""


def register(option: str, output: Output) -> None:
    """Have the command send what it found.

    Args:
        option: The option that asks for it, as in ``"textfile"``.
        output: Sends it; may raise an ``OutputError``.
    """
    _outputs[option] = output


def registered() -> Mapping[str, Output]:
    """Return the outputs by their options."""
    return dict(_outputs)
