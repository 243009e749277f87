"""What the status pages of providers have in common."""

from __future__ import annotations

import dataclasses
import datetime

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceWarning
from health_check.labels import ConciseRepr

MOST_NAMED = 5
"""How many incidents to name."""

MOST_CHARACTERS = 200
"""How much of each to show."""


@dataclasses.dataclass(repr=False)
class StatusPage(ConciseRepr, HealthCheck):
    """Warn of what a provider says of itself: a base class.

    All hosts would learn the same, so the provider is asked once for a fleet, and every five minutes at most.

    Args:
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    max_age = 300
    scope = "fleet"

    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False, kw_only=True)

    def warn_of(self, incidents: list[str]) -> None:
        """Warn of incidents, if there are any.

        Raises:
            ServiceWarning: If there are.
        """
        if not incidents:
            return
        named = [" ".join(incident.split())[:MOST_CHARACTERS] for incident in incidents[:MOST_NAMED]]
        more = len(incidents) - len(named)
        raise ServiceWarning("\n".join([*named, *([f"and {more} more"] if more else [])]))
