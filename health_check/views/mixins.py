"""``health_check.mixins`` of django-health-check 3.x: checks for views and commands of the site's own."""

from __future__ import annotations

import dataclasses
from typing import Any

from health_check.backends import HealthCheck
from health_check.exceptions import HealthCheckException
from health_check.monitor import runtime
from health_check.registry.check_set import CheckSet
from health_check.registry.endpoints import Endpoint
from health_check.views.plugins import fill, labelled
from health_check.views.registered import RegisteredView
from health_check.views.subsets import errors_of, labels_in


class CheckMixin:
    """Run the registered checks, without any the default ones, for a view or a command of the site's own.

    Deprecated: derive a view from HealthCheckView. What runs, and for how long a result counts, is as for all
    endpoints; override ``plugins`` or ``filter_plugins`` to choose the checks.
    """

    use_threading: bool | None = None
    """False runs the checks in the calling thread."""
    warnings_as_errors: bool | None = None
    """Whether warnings count; default ``HEALTH_CHECK["WARNINGS_AS_ERRORS"]``."""

    _errors: list[HealthCheckException] | None = None
    _plugins: dict[str, HealthCheck] | None = None

    @property
    def errors(self) -> list[HealthCheckException]:
        """The errors that count; runs the checks where that was not done before, or none was found."""
        if not self._errors:
            self._errors = self.run_check()
        return self._errors

    @property
    def plugins(self) -> dict[str, HealthCheck]:
        """The checks by label; ``run_check`` fills them with what was found."""
        if self._plugins is None:
            endpoint = self._endpoint()
            check_set = _with(endpoint, endpoint.items())
            checks = {m.label: check_set.definitions[m.label].copy() for m in check_set.members[endpoint]}
            self._plugins = labelled(checks)
        return self._plugins

    def check(self, subset: str | None = None) -> list[HealthCheckException]:
        """Do what ``run_check`` does."""
        return self.run_check(subset=subset)

    def filter_plugins(self, subset: str | None = None) -> dict[str, HealthCheck]:
        """Return the checks of a subset by label.

        Raises:
            Http404: If ``HEALTH_CHECK["SUBSETS"]`` has none of this name.
        """
        labels = self.plugins if subset is None else labels_in(subset, self.plugins)
        return {label: self.plugins[label] for label in labels}

    def run_check(self, subset: str | None = None) -> list[HealthCheckException]:
        """Have the checks of a subset run, fill ``plugins`` with what was found, and return the errors that count.

        Raises:
            Http404: If ``HEALTH_CHECK["SUBSETS"]`` has none of this name.
        """
        plugins = dict(self.filter_plugins(subset=subset))
        endpoint = self._endpoint()
        report = runtime.read([endpoint], check_set=_with(endpoint, plugins.items())).reports[0]
        for plugin, row in zip(plugins.values(), report.rows, strict=True):
            fill(plugin, row)
        return errors_of(report)

    def _endpoint(self) -> Endpoint:
        options = {"use_threading": self.use_threading, "warnings_as_errors": self.warnings_as_errors}
        return Endpoint(name=type(self).__qualname__, route="", view_class=RegisteredView, initkwargs=options)


def endpoint_of_subset(name: str) -> tuple[Endpoint, CheckSet]:
    """Return an endpoint that has the registered checks of a subset, and the check set that has these.

    Raises:
        Http404: If ``HEALTH_CHECK["SUBSETS"]`` has none of this name.
    """
    endpoint = Endpoint(name=name, route="", view_class=RegisteredView, initkwargs={})
    check_set = _with(endpoint, endpoint.items())
    members = check_set.members[endpoint]
    labels = labels_in(name, {member.label: check_set.definitions[member.label].prototype for member in members})
    found = tuple(member for member in members if member.label in labels)
    return endpoint, dataclasses.replace(check_set, members={**check_set.members, endpoint: found})


def _with(endpoint: Endpoint, items: Any) -> CheckSet:
    return runtime.get().catalogue.with_chosen(endpoint, tuple(items))
