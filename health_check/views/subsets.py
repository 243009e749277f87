"""The subsets of django-health-check 3.x: names in a route that stand for some of an endpoint's checks."""

from __future__ import annotations

from collections.abc import Set

from django.http import Http404

from health_check import conf
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


def in_subset(report: Report, subset: str) -> Report:
    """Return the report on the checks of a subset, which may be called as they were in 3.x.

    Raises:
        Http404: If there is no subset of this name.
    """
    wanted = names_in(subset)
    definitions = [reading.definition for reading in report.readings]
    found = [d.label for d in definitions if not wanted.isdisjoint(old_names.names_of(d.label, d.prototype))]
    return report.only(found)


def errors_of(report: Report) -> list[HealthCheckException]:
    """Return the errors of those checks that make an endpoint fail, and of draining."""
    messages = [message for row in report.rows if row.counts for message in row.reading.messages]
    return [message.as_exception() for message in [*report.notices.values(), *messages]]
