"""The notifications that the demo got from Alertmanager."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from health_check.demo import levers

MOST_KEPT = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """A notification."""

    at: float
    """When it came, Unix time in seconds."""
    name: str
    summary: str
    resolved: bool
    seconds: float | None
    """How long after the lever was moved; None where no lever belongs to it."""


_told: deque[Told] = deque(maxlen=MOST_KEPT)
_lock = threading.Lock()


def note(body: Mapping[str, Any]) -> None:
    """Note what Alertmanager sent to the webhook, in the shape of its version 4.

    Raises:
        ValueError: If it has another shape.
    """
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or not all(isinstance(alert, dict) for alert in alerts):
        raise ValueError('The body has no list "alerts".')
    now = time.time()
    for alert in alerts:
        labels, annotations = alert.get("labels") or {}, alert.get("annotations") or {}
        moved = levers.moved_at(str(labels.get("check", "")))
        told = Told(
            at=now,
            name=str(labels.get("alertname", "?")),
            summary=str(annotations.get("summary", "")),
            resolved=alert.get("status") == "resolved",
            seconds=None if moved is None else now - moved,
        )
        with _lock:
            before = next((one for one in _told if (one.name, one.summary) == (told.name, told.summary)), None)
            if before is None or before.resolved != told.resolved:  # Alertmanager repeats all alerts of the group
                _told.appendleft(told)


def told() -> list[Told]:
    """Return the notifications, newest first."""
    with _lock:
        return list(_told)
