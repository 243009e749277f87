"""What the status pages of providers have in common."""

from __future__ import annotations

import dataclasses
import datetime
import inspect
from collections.abc import Sequence
from typing import Any

from health_check.checks.clients import ServiceCheck
from health_check.contrib._http import Fetched, fetch
from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceWarning,
    StatusPageWarning,
)

MOST_NAMED = 5
"""How many incidents to name."""

MOST_CHARACTERS = 200
"""How much of a title to show."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that a provider reports."""

    title: str
    """What it is called."""
    link: str
    """Where to read more; empty if nothing is said."""
    moment: datetime.datetime | None
    """When the provider last spoke of it; None if nothing is said."""

    def __str__(self) -> str:
        title = " ".join(self.title.split())[:MOST_CHARACTERS] or "an incident without a title"
        return f"{title}: {self.link}" if self.link.startswith(("http://", "https://")) else title


@dataclasses.dataclass(repr=False)
class StatusPage(ServiceCheck):
    """Warn of what a provider says of itself: a base class.

    All hosts would get the same answer, so the provider is asked once for a fleet, and every five minutes at most.
    Incidents are warnings, and so is a provider that cannot be asked: neither means that the site is down.
    """

    max_age = 300
    scope = "fleet"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "max_age" in inspect.get_annotations(cls):
            raise TypeError(
                f"{cls.__name__}: the field `max_age` would be the check's own, and the provider asked all the time. "
                "Use `incident_hours` for the age of incidents, or write `max_age = 300` without annotation."
            )

    def incidents(self) -> Sequence[Incident]:
        """Ask the provider what is going on; to be overridden.

        Raises:
            HealthCheckException: If it cannot be asked; that counts as a warning, too.
        """
        raise NotImplementedError(f"{type(self).__name__} must define incidents()")

    def check_status(self) -> None:
        try:
            found = self.incidents()
        except ServiceWarning:
            raise
        except HealthCheckException as error:
            raise ServiceWarning(error.message) from error
        if found:
            named = [*map(str, found[:MOST_NAMED])]
            more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
            moments = [incident.moment for incident in found if incident.moment is not None]
            raise StatusPageWarning("\n".join([*named, *more]), timestamp=max(moments, default=None))

    def fetched(self, url: str, what: str) -> Fetched:
        """Return what is at a URL of the provider's.

        Args:
            url: The URL.
            what: What is there, for messages.

        Raises:
            HealthCheckException: If it cannot be fetched, or not in whole.
        """
        fetched = fetch(url, what=what, seconds=self.client_timeout())
        if fetched.status != 200:
            raise ServiceReturnedUnexpectedResult(f"{what} answered HTTP {fetched.status}")
        if not fetched.complete:
            raise ServiceReturnedUnexpectedResult(f"{what} is too long")
        return fetched
