"""The subsets of django-health-check 3.x: names in a route that stand for some of an endpoint's checks."""

from __future__ import annotations

from collections.abc import Mapping, Set

from django.http import Http404

from health_check import conf
from health_check.backends import HealthCheck
from health_check.exceptions import HealthCheckException
from health_check.monitor.reports import Report
from health_check.registry import old_names


def names_in(subset: str) -> Set[str]:
    """Return the names of the checks in a subset.

    Raises:
        Http404: If there is no subset of this name.
    """
    subsets = conf.subsets()
    if subset not in subsets:
        known = ", ".join(subsets) or "none"
        raise Http404(f"There is no subset {subset!r} in HEALTH_CHECK['SUBSETS']. There are: {known}.")
    return subsets[subset]


def labels_in(subset: str, checks: Mapping[str, HealthCheck]) -> list[str]:
    """Return the labels of those checks that are in a subset, which may call them as 3.x did.

    Raises:
        Http404: If there is no subset of this name.
    """
    wanted = names_in(subset)
    return [label for label, check in checks.items() if not wanted.isdisjoint(old_names.names_of(label, check))]


def in_subset(report: Report, subset: str) -> Report:
    """Return the report on the checks of a subset.

    Raises:
        Http404: If there is no subset of this name.
    """
    return report.only(labels_in(subset, {reading.label: reading.definition.prototype for reading in report.readings}))


def errors_of(report: Report) -> list[HealthCheckException]:
    """Return the errors of those checks that make an endpoint fail, and of draining."""
    messages = [message for row in report.rows if row.counts for message in row.reading.messages]
    return [message.as_exception() for message in [*report.notices.values(), *messages]]
