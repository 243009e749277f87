"""The endpoint of a request: which checks it has, and how they count, as the view's instance says now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.functional import cached_property  # that of functools holds one lock for all instances

from health_check.conf import nearest
from health_check.logs import log_once
from health_check.monitor import runtime
from health_check.redaction import shown
from health_check.registry.check_set import CheckSet, Member
from health_check.registry.definitions import UnusableEntry
from health_check.registry.endpoints import OPTIONS, Endpoint, EndpointOptions, endpoint_of, items_of
from health_check.registry.identity import equal_values
from health_check.views.access import AccessMixin, stated_by
from health_check.views.arguments import PLAIN, has_no_code, refuse_unusable_options, says_by_code
from health_check.views.query import MOST_LETTERS, Query, query_of

FOUND_OUT = ("report", "plugin_list", "access_policy", "access_decision", "_is_for_all", "_is_readiness")
"""The attributes of a view that say what was found out for its request."""


class UnknownCheckError(Exception):
    """Report that an endpoint does not have a check that is asked about, in words that may be shown."""


def restricted(check_set: CheckSet, endpoint: Endpoint, labels: Sequence[str]) -> CheckSet:
    """Return the check set where an endpoint has some of its checks only; one that is alone is critical.

    Args:
        check_set: The checks.
        endpoint: The endpoint.
        labels: The labels, or former ones, of the checks; none for all.

    Raises:
        UnknownCheckError: If the endpoint has not all of them.
    """
    if not labels:
        return check_set
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
    return _with_members(check_set, endpoint, found)


def unknown_check(label: str, known: Iterable[str]) -> UnknownCheckError:
    """Return what to say of a label that an endpoint has no check of."""
    return UnknownCheckError(
        f"There is no check {shown(label[:MOST_LETTERS])} at this endpoint.{nearest(label, known)}"
    )


def _with_members(check_set: CheckSet, endpoint: Endpoint, members: tuple[Member, ...]) -> CheckSet:
    return dataclasses.replace(check_set, members={**check_set.members, endpoint: members})


class EndpointMixin(AccessMixin, EndpointOptions):
    """What a view says of its endpoint, by its class, by ``as_view``, or in code of its own for one request."""

    request: HttpRequest

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, and forget what was found out before, if it may say what is checked or who is answered."""
        view_class: Any = type(self)
        if name in PLAIN or (name not in FOUND_OUT and says_by_code(view_class)):
            for known in FOUND_OUT:
                vars(self).pop(known, None)
        super().__setattr__(name, value)

    @cached_property
    def query(self) -> Query:
        """What the query string asks for."""
        return query_of(self.request)

    @property
    def _is_plain(self) -> bool:
        """Whether there is no code but ours, so that the class and ``as_view`` say all there is to say."""
        view_class: Any = type(self)
        return has_no_code(view_class)

    @cached_property
    def _mounted(self) -> Endpoint | None:
        """The endpoint that this request was routed to; None where a function of the site's calls the view."""
        endpoint = endpoint_of(self.request.resolver_match)
        return endpoint if endpoint is not None and endpoint.view_class is type(self) else None

    def _found(self) -> tuple[Endpoint, CheckSet]:
        """Return the endpoint that this request is for, and the check set that has the checks it asks about.

        Raises:
            UnknownCheckError: If the endpoint has not all of them.
        """
        if self._is_plain and self._mounted is not None:
            endpoint, check_set = runtime.get().catalogue.add(self._mounted)
        else:
            endpoint, check_set = self._as_said()
        return endpoint, restricted(check_set, endpoint, self.query.checks)

    def _as_said(self) -> tuple[Endpoint, CheckSet]:
        """Return the endpoint and its checks as this view says now, which may not be what it says without a request."""
        catalogue = runtime.get().catalogue
        own = self._own_endpoint()
        items = self._items(own)
        if self.request.resolver_match is None:
            return own, catalogue.with_chosen(own, items)
        known = self._mounted
        if known is None or known.has_own_plugins or not catalogue.knows(known):
            known, check_set = catalogue.place(known or own, items)
        else:
            known, check_set = catalogue.add(known)
        endpoint = dataclasses.replace(known, stated=own.initkwargs)
        if known.has_own_plugins or equal_values(items, catalogue.items_of(known)):
            return endpoint, _with_members(check_set, endpoint, check_set.members[known])
        return endpoint, catalogue.with_chosen(endpoint, items)

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
        has_own_plugins = type(self).get_plugins is not EndpointOptions.get_plugins
        return not (has_own_plugins or self._checks() or self._own_endpoint().is_readiness)

    def _own_endpoint(self) -> Endpoint:
        """Return the endpoint that this view says it is."""
        match = self.request.resolver_match
        name = match.view_name if match is not None and match.url_name else ""
        route = self.request.path if match is None else match.route
        return Endpoint(name=name, url_name=name, route=route, view_class=type(self), initkwargs=self._options())

    def _items(self, endpoint: Endpoint) -> tuple[Any, ...]:
        if not endpoint.has_own_plugins:
            return self._checks()
        try:
            return tuple(self.get_plugins())
        except Exception as error:
            return (self._failed("get_plugins", error),)
