"""The cache of responses: the bytes that were rendered before, while the records that they show are fresh."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from health_check.monitor import runtime
from health_check.monitor.reports import Report, overview_of
from health_check.monitor.runtime import Runtime
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.endpoints import Endpoint, endpoint_of
from health_check.views import renderers
from health_check.views.access import policy_for
from health_check.views.endpoint import UnknownCheckError, restricted
from health_check.views.html import link_to, our_page, refresh
from health_check.views.negotiation import format_of
from health_check.views.query import NO_QUERY, Query, query_of

CONTENT_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "health+json": "application/health+json",
    "text": "text/plain; charset=utf-8",
}
"""The formats that depend on nothing but the report; feeds have the address of the request in them."""

MOST_OTHERS = 32
"""How many answers to keep for each view, besides those to requests without filters and labels."""

HTML_SECONDS = 1.0
"""For how long a page is cached at most: it shows ages, in seconds."""

RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "json": renderers.as_json,
    "health+json": renderers.as_health_json,
    "text": renderers.as_text,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachedResponse:
    """An answer, and what has to be as it was for the answer to hold."""

    body: bytes
    """The body."""
    status: int
    """The HTTP status."""
    until: float
    """Until when the records are fresh, on the monotonic clock."""
    stamp: int
    """What the monitor knew."""
    runtime: Runtime
    """Whose monitor."""
    catalogue: Catalogue
    """What knew the checks."""
    check_set: CheckSet
    """The checks."""
    configured: object
    """The settings."""
    draining: bool
    """Whether the host was drained, where that matters."""

    def holds(self) -> bool:
        """Return whether nothing has changed."""
        current = runtime.get()
        return (
            current is self.runtime
            and current.monitor.stamp == self.stamp
            and time.monotonic() < self.until
            and current.catalogue is self.catalogue
            and self.catalogue.current is self.check_set
            and self.draining == bool(current.monitor.store_client.draining)
            and _is_configured(self.configured)
        )


class ResponseCache:
    """Answer the requests to one view for which there is a cached answer, and keep it if there could be one.

    For views that override nothing: what they answer depends on the report alone, if all may see all of it.

    Args:
        enabled: Whether the view is such a one; else there is never an answer.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._plain: dict[str, CachedResponse] = {}
        self._others: dict[object, CachedResponse] = {}

    def answer(self, request: HttpRequest, *, may_wait: bool = True) -> HttpResponse | None:
        """Return the answer to a request; None where the view has to find it.

        Args:
            request: The request.
            may_wait: Whether the store may be asked, as pages show former runs.
        """
        if not self._enabled or request.method not in ("GET", "HEAD"):
            return None
        if request.resolver_match is not None and "subset" in request.resolver_match.kwargs:
            return None
        query = query_of(request)
        if query.runbook is not None or query.unusable:  # the page says what could not be used
            return None
        chosen = format_of(query.format, request.META.get("HTTP_ACCEPT", "")) or ""
        if chosen not in CONTENT_TYPES:
            return None
        key = None if query is NO_QUERY else _key(request, chosen, query)
        try:
            cached = self._plain.get(chosen) if key is None else self._others.get(key)
            if cached is None or not cached.holds():
                cached = self._made(request, chosen, query, key) if may_wait or chosen != "html" else None
        except (ImproperlyConfigured, UnknownCheckError):  # the view says so
            return None
        if cached is None:
            return None
        response = _response(cached, CONTENT_TYPES[chosen])
        if chosen == "html":
            refresh(response, query)
        return response

    def _keep(self, chosen: str, key: object, cached: CachedResponse) -> None:
        if key is None:
            self._plain[chosen] = cached
        else:  # another dict each time: other threads may be at this one
            kept = {each: value for each, value in list(self._others.items()) if each != key}
            self._others = dict([*kept.items(), (key, cached)][-MOST_OTHERS:])

    def _made(self, request: HttpRequest, chosen: str, query: Query, key: object) -> CachedResponse | None:
        """Make and keep an answer, if all records are fresh."""
        current, configured = runtime.get(), _configured()
        if not current.prepared:
            return None
        monitor, catalogue = current.monitor, current.catalogue
        stamp, draining = monitor.stamp, monitor.store_client.draining
        found = _listed(request, catalogue)
        if found is None:
            return None
        endpoint, check_set = found
        shown = restricted(check_set, endpoint, query.checks) if query.checks else check_set
        policy = policy_for(endpoint.view_class, endpoint.initkwargs)
        if policy.needs_authority() or policy.details != "always":
            return None
        draining_until = monitor.store_client.draining_until if endpoint.is_readiness else math.inf
        if draining_until <= time.monotonic():  # it has to be asked
            return None
        fresh = monitor.fresh(shown.checks_of([endpoint]))
        if fresh is None:
            return None
        readings, until = fresh
        until = min(until, draining_until)
        report = overview_of([endpoint], shown, readings, draining=bool(draining)).reports[0]
        body = _rendered(report, chosen, endpoint, query, request)
        if body is None:
            return None
        cached = CachedResponse(
            body=body,
            status=report.status_code,
            until=min(until, time.monotonic() + (HTML_SECONDS if chosen == "html" else math.inf)),
            stamp=stamp,
            runtime=current,
            catalogue=catalogue,
            check_set=check_set,
            configured=configured,
            draining=bool(draining),
        )
        self._keep(chosen, key, cached)
        return cached


def _key(request: HttpRequest, chosen: str, query: Query) -> object:
    """Return what distinguishes an answer from others of its format; None for the usual one.

    Filters are for pages; the page of a check has the address of the request in it, to be copied.
    """
    if not query.checks:
        return None if chosen != "html" or query == NO_QUERY else (chosen, query)
    return (chosen, query, link_to(request)) if chosen == "html" else (chosen, query.checks)


def _is_configured(configured: object) -> bool:
    """Return whether the settings are these."""
    try:
        return bool(getattr(django_settings, "HEALTH_CHECK", None) == configured)
    except Exception:  # values that are not the same may be such as cannot be compared
        return False


def _configured() -> object:
    """Return what the settings are now: a copy of the dict, whose values may be anything."""
    found = getattr(django_settings, "HEALTH_CHECK", None)
    return dict(found) if isinstance(found, dict) else found


def _listed(request: HttpRequest, catalogue: Catalogue) -> tuple[Endpoint, CheckSet] | None:
    endpoint = endpoint_of(request.resolver_match)
    return None if endpoint is None else catalogue.listed(endpoint)


def _rendered(report: Report, chosen: str, endpoint: Endpoint, query: Query, request: HttpRequest) -> bytes | None:
    if chosen != "html":
        return RENDERERS[chosen](report).encode()
    html = our_page([endpoint.option("template_name")], report, query, link_to(request))
    return None if html is None else html.encode()


def _response(cached: CachedResponse, content_type: str) -> HttpResponse:
    response = HttpResponse(cached.body, status=cached.status, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept"
    if cached.status >= 500:
        vars(response)["_has_been_logged"] = True  # by our logger: ADMINS get no mail per probe
    return response
