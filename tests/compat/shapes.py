"""Checks as sites have them that come from django-health-check."""

from __future__ import annotations

import dataclasses
import datetime

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

MOMENT = datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.UTC)
"""When an incident began."""


class Up(HealthCheck):
    """Finds nothing wrong."""

    def check_status(self) -> None:
        """Find nothing."""


class Down(HealthCheck):
    """Fails."""

    def check_status(self) -> None:
        raise ServiceUnavailable("it is down")


class Named(HealthCheck):
    """Has a name of 3.20, on top of what the base class calls it."""

    def check_status(self) -> None:
        """Find nothing."""

    def identifier(self) -> str:
        """Say what it is called."""
        return f"{super().identifier()}: the search"


class Versioned(HealthCheck):
    """Says more than "OK" in its ``pretty_status``, which knows what the run has found."""

    def check_status(self) -> None:
        self.version = "8.1"

    def pretty_status(self) -> str:
        """Say what was found, and a secret that has to be masked."""
        return f"version {self.version} of https://user:hunter2@search.example"


class Grumbling(HealthCheck):
    """Fails in words of its own."""

    critical_service = False

    def check_status(self) -> None:
        self.add_error(ServiceWarning("half of the nodes"))

    def pretty_status(self) -> str:
        """Say how many errors there are."""
        return f"{len(self.errors)} problem(s)"


@dataclasses.dataclass
class Incident(HealthCheck):
    """Tells of an incident that has a time of its own."""

    def check_status(self) -> None:
        raise ServiceWarning("an incident", timestamp=MOMENT)


@dataclasses.dataclass
class Field(HealthCheck):
    """Has required fields that are called as methods of former versions are."""

    identifier: str  # type: ignore[misc]
    run: str  # type: ignore[misc]

    def check_status(self) -> None:
        """Find nothing."""
