"""Signals for those who want to react to what checks say.

They are sent by the process that ran the check, on a thread of their own: a receiver that raises or takes long holds
up nothing but later signals. Inside Django's test environment they are sent at once.

``check_finished``
    A run of a check has its outcome. Arguments: ``sender``, the class of the check; ``label``; ``result``, a
    ``health_check.records.Result``; ``record``, the check's record with it.

``state_changed``
    The state of a check became another one. Arguments as above, and ``previous_state`` and ``state``, of
    ``health_check.records.State``; ``previous_state`` is ``unknown`` at the first run.
"""

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal

from health_check.logs import log_once


class HealthSignal(Signal):
    """A signal whose receivers' failures this package logs, masked and once; Django's would mail them to ADMINS."""

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        name = getattr(receiver, "__qualname__", repr(receiver))
        log_once(f"receiver {name}", f"A receiver of the signals of the health checks failed: {name}.", err)


check_finished = HealthSignal()
state_changed = HealthSignal()
