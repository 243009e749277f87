"""The system check of who sees what, for deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check.endpoints import Endpoint
from health_check.guard import rules_for
from health_check.system_checks.catalogue import current_catalogue


def check_exposure(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints that show their messages to everybody (W012)."""
    catalogue = current_catalogue()
    if catalogue is None:
        return []
    endpoints = [endpoint for endpoint, members in catalogue.assembly.members.items() if members]
    exposed = [endpoint.name for endpoint in (*endpoints, *catalogue.deferred) if _tells_everybody(endpoint)]
    if not exposed:
        return []
    return [
        CheckWarning(
            f"Everybody may read why checks fail on {', '.join(exposed)}.",
            hint="Set HEALTH_CHECK['ACCESS'] = {'DETAILS': 'authorized'}: states and status codes stay open.",
            id="health_check.W012",
        )
    ]


def _tells_everybody(endpoint: Endpoint) -> bool:
    try:
        rules = rules_for(endpoint.view_class, endpoint.initkwargs)
    except ImproperlyConfigured:  # it lets nobody in
        return False
    return rules.open and rules.details == "always"
