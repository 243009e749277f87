"""The system checks of what endpoints are for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from health_check.assembly import Assembly
from health_check.contrib.psutil import Memory
from health_check.endpoints import Endpoint
from health_check.system_checks.catalogue import current_catalogue

READINESS = re.compile(r"(?<![a-z])(ready|readyz|readiness)(?![a-z])", re.IGNORECASE)
"""What readiness endpoints are called: a load balancer sends no requests where they fail."""

LIVENESS = re.compile(r"(?<![a-z])(live|livez|liveness|alive)(?![a-z])", re.IGNORECASE)
"""What liveness endpoints are called: where they fail, the process is restarted."""

OURS = ("health_check.checks.", "health_check.contrib.")
"""Where checks are that look at what the site depends on."""

MENDED_BY_A_RESTART = (Memory,)
"""Those of them that a new process may pass where the old one failed."""


def check_purposes(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report fleet checks of readiness endpoints (W006), and dependencies of liveness endpoints (W007)."""
    catalogue = current_catalogue()
    if catalogue is None:
        return []
    assembly = catalogue.assembly
    return [
        message
        for endpoint in assembly.members
        for message in (*_fleet_checks(endpoint, assembly), *_dependencies(endpoint, assembly))
    ]


def _fleet_checks(endpoint: Endpoint, assembly: Assembly) -> Iterator[CheckMessage]:
    if not (endpoint.option("readiness") or _is_called(endpoint, READINESS)):
        return
    for member in assembly.members[endpoint]:
        if member.critical and assembly.definitions[member.label].scope == "fleet":
            yield CheckWarning(
                f"Health endpoint {endpoint.name!r}: {member.label} has the scope 'fleet': "
                "if it fails, all hosts are taken out of service at once.",
                hint="Leave it out of readiness endpoints, or make it uncritical there: critical_service=False.",
                id="health_check.W006",
            )


def _dependencies(endpoint: Endpoint, assembly: Assembly) -> Iterator[CheckMessage]:
    if not (endpoint.option("liveness") or _is_called(endpoint, LIVENESS)):
        return
    labels = [
        member.label
        for member in assembly.members[endpoint]
        if member.critical and _is_a_dependency(assembly.definitions[member.label].check_class)
    ]
    if labels:
        yield CheckWarning(
            f"Health endpoint {endpoint.name!r} is for liveness, but depends on {', '.join(labels)}: "
            "while that fails, every process is restarted again and again.",
            hint="Give it checks=[], and look at dependencies on a readiness endpoint.",
            id="health_check.W007",
        )


def _is_a_dependency(check_class: type) -> bool:
    is_ours = any(f"{base.__module__}.".startswith(OURS) for base in check_class.__mro__)
    return is_ours and not issubclass(check_class, MENDED_BY_A_RESTART)


def _is_called(endpoint: Endpoint, pattern: re.Pattern[str]) -> bool:
    """Tell whether the name of an endpoint, or the last part of its path, says what it is for."""
    last = endpoint.route.rstrip("/?$").rpartition("/")[2]
    return bool(pattern.search(f"{endpoint.url_name} {last}"))
