"""Telemetry that processes of our own send: exporters say how it is set up, where the user has not done so."""

from __future__ import annotations

from collections.abc import Callable

ShutDown = Callable[[float], None]
"""Sends what is left, for some seconds at most."""

SetUp = Callable[[], ShutDown | None]
"""Sets it up; returns None, with nothing changed, where the user has done so."""

_set_ups: list[SetUp] = []


class TelemetryError(Exception):
    """Tell why telemetry cannot be set up, and what to do."""


def register(set_up: SetUp) -> None:
    """Have this set up the telemetry of processes of our own.

    Args:
        set_up: Sets it up; may raise a ``TelemetryError``.
    """
    _set_ups[:] = [set_up]


def registered() -> SetUp | None:
    """Return what sets it up, if there is something."""
    return _set_ups[0] if _set_ups else None
