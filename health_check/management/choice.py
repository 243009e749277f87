"""Which endpoints and checks a command is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from health_check.conf import nearest
from health_check.management.arguments import NO_ENDPOINT
from health_check.management.naming import find
from health_check.monitor import runtime
from health_check.registry.check_set import CheckSet
from health_check.registry.endpoints import Endpoint
from health_check.views.mixins import endpoint_of_subset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What a command is about."""

    endpoints: tuple[Endpoint, ...]
    """The endpoints, in the order of the URLconf."""
    check_set: CheckSet
    """The check set in which they have only the checks that are asked for."""
    deferred: tuple[Endpoint, ...]
    """The endpoints that were left out, as only a request shows what they check."""


def choose(options: Mapping[str, Any]) -> Choice:
    """Return what is asked for by ``ENDPOINT``, ``--subset`` and ``--check``; by default all there is.

    Raises:
        CommandError: If there is no such endpoint or check.
        Http404: If there is no such subset.
    """
    catalogue = runtime.get().catalogue
    wanted, subset = options["endpoint"], options["subset"]
    endpoints = (find(catalogue, wanted),) if wanted else catalogue.endpoints
    check_set = catalogue.check_set
    if subset:
        if wanted:
            raise CommandError("--subset is one of the registered checks: leave ENDPOINT out.")
        endpoint, check_set = endpoint_of_subset(subset if isinstance(subset, str) else subset[0])
        endpoints = (endpoint,)
    if options["labels"]:
        endpoints, check_set = _restricted(endpoints, check_set, options["labels"])
    return Choice(endpoints=endpoints, check_set=check_set, deferred=() if wanted or subset else catalogue.deferred)


def _restricted(
    endpoints: tuple[Endpoint, ...], check_set: CheckSet, labels: list[str]
) -> tuple[tuple[Endpoint, ...], CheckSet]:
    """Return the endpoints that have any of some checks, and the check set where they have no others.

    A check that is asked for alone is critical, as in ``?check=``: the exit code says how it is.
    """
    known = [definition.label for definition in check_set.checks_of(endpoints)]
    found = {label: check_set.find(label) for label in labels}
    for label, definition in found.items():
        if definition is None or definition.label not in known:
            raise CommandError(
                f"There is no check {label!r}.{nearest(label, known)} Known checks: {', '.join(known) or 'none'}."
            )
    wanted = {definition.label for definition in found.values() if definition is not None}
    members = {
        endpoint: tuple(
            dataclasses.replace(member, critical=member.critical or len(wanted) == 1)
            for member in check_set.members[endpoint]
            if member.label in wanted
        )
        for endpoint in endpoints
    }
    members = {endpoint: chosen for endpoint, chosen in members.items() if chosen}
    return tuple(members), dataclasses.replace(check_set, members=members)


def nothing_to_check(options: Mapping[str, Any]) -> str:
    """Return what to say where no check was chosen."""
    catalogue, wanted = runtime.get().catalogue, options["endpoint"] or options["subset"]
    if wanted:
        return f"The endpoint {wanted!r} has no checks: there is nothing to run. Ask its server, without --no-http."
    if not catalogue.endpoints:
        return NO_ENDPOINT
    return "No endpoint has any checks."
