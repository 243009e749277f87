"""Where the endpoints of the site are, and what they answer now, as far as that is known and may be told."""

from __future__ import annotations

import dataclasses

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from health_check.monitor import runtime
from health_check.monitor.reports import Report, report_on
from health_check.registry.endpoints import Endpoint
from health_check.views.access import policy_for

METRICS = ("health_check_metrics", "health_check:health_check_metrics")
"""What the metrics page may be called."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """An endpoint, and where it is."""

    name: str
    """What commands and metrics call it."""
    link: str
    """Its path."""
    is_readiness: bool
    """Whether load balancers ask there."""
    status_code: int | None
    """What it answers now; None where a check has no fresh result, or where not everybody may ask there."""


def addresses(known: Report | None = None) -> list[Address]:
    """Return the endpoints that have a name, those of other URLconfs left out.

    Args:
        known: The report on one of them, on all of its checks.
    """
    found = [(endpoint, address_of(endpoint.url_name)) for endpoint in runtime.get().catalogue.endpoints]
    return [
        Address(
            name=endpoint.name,
            link=link,
            is_readiness=endpoint.is_readiness,
            status_code=known.status_code if known and known.name == endpoint.name else _status_of(endpoint),
        )
        for endpoint, link in found
        if link
    ]


def metrics_address() -> str:
    """Return where the metrics page is; empty where there is none."""
    return next(filter(None, map(address_of, METRICS)), "")


def address_of(url_name: str) -> str:
    """Return the path that a URL name has; empty where it has none, or one with arguments."""
    try:
        return reverse(url_name) if url_name else ""
    except NoReverseMatch:  # it has arguments, or is in another URLconf
        return ""


def _status_of(endpoint: Endpoint) -> int | None:
    """Return what an endpoint answers, if everybody may ask there, from fresh results alone: nothing is run."""
    current = runtime.get()
    try:
        is_open = policy_for(endpoint.view_class, endpoint.initkwargs).open
        found = current.catalogue.listed(endpoint) if is_open else None
        if found is None:
            return None
        listed, check_set = found
        fresh = current.monitor.fresh(check_set.checks_of([listed]))
        draining = bool(current.monitor.store_client.draining)
        return None if fresh is None else report_on(listed, check_set, fresh[0], draining=draining).status_code
    except ImproperlyConfigured:  # the endpoint says so itself
        return None
