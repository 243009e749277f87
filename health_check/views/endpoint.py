"""The endpoint of a request: which checks it has, and how they count, as the view's instance says now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from health_check.conf import nearest
from health_check.logs import log_once
from health_check.monitor import runtime
from health_check.redaction import shown
from health_check.registry.check_set import CheckSet, Member
from health_check.registry.definitions import UnusableEntry
from health_check.registry.endpoints import OPTIONS, Endpoint, EndpointOptions, endpoint_of, items_of
from health_check.registry.identity import equal_values
from health_check.views.access import AccessMixin, stated_by
from health_check.views.arguments import refuse_unusable_options
from health_check.views.query import MOST_LETTERS, Query, query_of


class UnknownCheckError(Exception):
    """Report that an endpoint does not have a check that is asked about, in words that may be shown."""


def restricted(check_set: CheckSet, endpoint: Endpoint, labels: Sequence[str]) -> CheckSet:
    """Return the check set where an endpoint has some of its checks only; one that is alone is critical.

    Args:
        check_set: The checks.
        endpoint: The endpoint.
        labels: The labels, or former ones, of the checks.

    Raises:
        UnknownCheckError: If the endpoint has not all of them.
    """
    members = {member.label: member for member in check_set.members[endpoint]}
    chosen: dict[str, Member] = {}
    for label in labels:
        definition = check_set.find(label)
        if definition is None or definition.label not in members:
            raise unknown_check(label, members)
        chosen[definition.label] = members[definition.label]
    found = tuple(chosen.values())
    if len(found) == 1:
        found = (dataclasses.replace(found[0], critical=True),)
    return dataclasses.replace(check_set, members={**check_set.members, endpoint: found})


def unknown_check(label: str, known: Iterable[str]) -> UnknownCheckError:
    """Return what to say of a label that an endpoint has no check of."""
    return UnknownCheckError(
        f"There is no check {shown(label[:MOST_LETTERS])} at this endpoint.{nearest(label, known)}"
    )


class EndpointMixin(AccessMixin, EndpointOptions):
    """What a view says of its endpoint, by its class, by ``as_view``, or in code of its own for one request."""

    request: HttpRequest

    @property
    def query(self) -> Query:
        """What the query string asks for."""
        return query_of(self.request)

    def _found(self) -> tuple[Endpoint, CheckSet]:
        """Return the endpoint that this request is for, and the check set that has the checks it asks about.

        Raises:
            UnknownCheckError: If the endpoint has not all of them.
        """
        return self._restricted(*(self._listed() or self._placed()))

    def _restricted(self, endpoint: Endpoint, check_set: CheckSet) -> tuple[Endpoint, CheckSet]:
        labels = self.query.checks
        return (endpoint, restricted(check_set, endpoint, labels) if labels else check_set)

    def _listed(self) -> tuple[Endpoint, CheckSet] | None:
        """Return the endpoint that this request is for, and the check set that has its checks, if both are known."""
        endpoint = endpoint_of(self.request.resolver_match)
        if endpoint is None or endpoint.view_class is not type(self) or endpoint.has_own_plugins:
            return None
        found = runtime.get().catalogue.listed(endpoint)
        return found if found is None or self._is_plain else self._as_said(*found)

    def _as_said(self, known: Endpoint, check_set: CheckSet) -> tuple[Endpoint, CheckSet] | None:
        """Return an endpoint as this view says that it is; None if it says that its checks are others."""
        if not equal_values(self._checks(), runtime.get().catalogue.items_of(known)):
            return None
        return self._with_options(known, check_set)

    def _with_options(self, known: Endpoint, check_set: CheckSet) -> tuple[Endpoint, CheckSet]:
        endpoint = dataclasses.replace(known, stated=self._options())
        members = {**check_set.members, endpoint: check_set.members[known]}
        return endpoint, dataclasses.replace(check_set, members=members)

    def _placed(self) -> tuple[Endpoint, CheckSet]:
        """Return the same where the checks have to be found out for this request, which may take a while."""
        catalogue = runtime.get().catalogue
        match = self.request.resolver_match
        if match is None:
            endpoint = self._own_endpoint()
            return endpoint, catalogue.with_chosen(endpoint, self._items(endpoint))
        listed = endpoint_of(match)
        if listed is None or listed.view_class is not type(self):
            listed = self._own_endpoint()
        elif not listed.has_own_plugins:
            if self._is_plain:
                return catalogue.add(listed)
            found = catalogue.add(listed) if catalogue.knows(listed) else catalogue.place(listed, self._checks())
            if (said := self._as_said(*found)) is not None:
                return said
            endpoint = dataclasses.replace(found[0], stated=self._options())
            return endpoint, catalogue.with_chosen(endpoint, self._checks())
        found = catalogue.place(listed, self._items(listed))
        return found if self._is_plain else self._with_options(*found)

    @property
    def _is_plain(self) -> bool:
        """Whether there is no code but ours, so that the class and ``as_view`` say all there is to say."""
        raise NotImplementedError

    def _said(self) -> object:
        """Return what this view says of itself now."""
        if self._is_plain:
            return None
        checks = None if type(self).get_plugins is not EndpointOptions.get_plugins else self._checks()
        return checks, self._options(), self.access_policy

    def _options(self) -> dict[str, Any]:
        """Return how this view says that checks count.

        Raises:
            ImproperlyConfigured: If that cannot be used.
        """
        options = stated_by(self, OPTIONS)
        refuse_unusable_options(type(self).__name__, options)
        return options

    def _checks(self) -> tuple[object, ...]:
        """Return the items of ``checks``, as this view says now."""
        try:
            checks = self.checks
            if isinstance(checks, Iterator) and "checks" in vars(self):  # it can be gone through once
                checks = vars(self)["checks"] = tuple(checks)
            return items_of(checks)
        except Exception as error:
            return (self._failed("checks", error),)

    def _failed(self, name: str, error: Exception) -> UnusableEntry:
        what = f"{type(self).__name__}.{name}"
        log_once(what, f"{what} failed.", error)
        return UnusableEntry(what, f"{what} raised {type(error).__name__}: see the log, and correct it.")

    def _status_of_errors(self) -> int:
        """Return the status of an error, also where the view's own cannot be used."""
        try:
            return int(self._options()["error_status_code"])
        except ImproperlyConfigured:
            return EndpointOptions.error_status_code

    @property
    def _needs_nothing(self) -> bool:
        """Whether the process answers for itself: there are no checks, and it matters to nobody that it is drained."""
        if not self._is_plain and self._checks():
            return False
        endpoint = self._own_endpoint()
        is_empty = not self._is_plain or (isinstance(self.checks, list | tuple) and not self.checks)
        return is_empty and not endpoint.has_own_plugins and not endpoint.is_readiness

    def _own_endpoint(self) -> Endpoint:
        match = self.request.resolver_match
        if match is None:
            return self._as_endpoint(url_name="", route=self.request.path)
        return self._as_endpoint(url_name=match.view_name if match.url_name else "", route=match.route)

    def _as_endpoint(self, *, url_name: str, route: str) -> Endpoint:
        options = {**self._options(), "checks": self._checks()}
        return Endpoint(name=url_name, url_name=url_name, route=route, view_class=type(self), initkwargs=options)

    def _items(self, endpoint: Endpoint) -> list[Any]:
        if not endpoint.has_own_plugins:
            return list(self._checks())
        try:
            return list(self.get_plugins())
        except Exception as error:
            return [self._failed("get_plugins", error)]
