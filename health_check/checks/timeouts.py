"""The timeouts of the clients that checks use: a share of the check's budget, so that their messages come first."""

from __future__ import annotations

from health_check.backends import HealthCheck
from health_check.conf import seconds, settings

CLIENT_SHARE = 0.8
"""Which share of a check's budget its client may use."""


def client_timeout(check: HealthCheck) -> float:
    """Return how many seconds the client of a check may take.

    Args:
        check: The check; its ``timeout``, or that of its class, is its budget, else ``HEALTH_CHECK["TIMEOUT"]``.
    """
    return CLIENT_SHARE * (seconds(check.timeout) or seconds(type(check).timeout) or settings.TIMEOUT)
