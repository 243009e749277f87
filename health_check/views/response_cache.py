"""The cache of responses: the bytes that were rendered before, while the records that they show are fresh."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from health_check.monitor import runtime
from health_check.registry.endpoints import Endpoint, endpoint_of
from health_check.views.access import policy_for
from health_check.views.endpoint import UnknownCheckError, fresh_report
from health_check.views.html import link_to, our_page, refresh
from health_check.views.negotiation import CONTENT_TYPES, chosen_format
from health_check.views.query import NO_QUERY, Query, query_of
from health_check.views.renderers import RENDERERS

MOST_RESPONSES = 32
"""How many answers to keep for each view."""

HTML_SECONDS = 1.0
"""For how long a page is cached at most: it shows ages, in seconds."""


class CachedResponse(NamedTuple):
    """An answer, and what has to be as it was for the answer to hold."""

    body: bytes
    """The body."""
    status: int
    """The HTTP status."""
    until: float
    """Until when the records are fresh, on the monotonic clock."""
    known: tuple[object, ...]
    """What was known."""

    def holds(self) -> bool:
        """Return whether nothing has changed."""
        return time.monotonic() < self.until and self.known == _known()


def _known() -> tuple[object, ...]:
    """Return what answers depend on: the records, the checks, and whether the host is drained."""
    current = runtime.get()
    monitor = current.monitor
    return current, monitor.stamp, current.catalogue.current, bool(monitor.store_client.draining)


class ResponseCache:
    """Answer the requests to one view for which there is a cached answer, and keep it if there could be one.

    For views that override nothing: what they answer depends on the report alone, if all may see all of it. Feeds have
    the address of the request in them, and are not kept.
    """

    def __init__(self) -> None:
        self._kept: dict[object, CachedResponse] = {}

    def answer(self, request: HttpRequest, *, may_wait: bool = True) -> HttpResponse | None:
        """Return the answer to a request; None where the view has to find it.

        Args:
            request: The request.
            may_wait: Whether the store may be asked, as pages show former runs.
        """
        match = request.resolver_match
        if request.method not in ("GET", "HEAD") or match is None or "subset" in match.kwargs:
            return None
        query = query_of(request)
        if query.runbook is not None or query.unusable:  # the page says what could not be used
            return None
        chosen = chosen_format(query.format, request.META.get("HTTP_ACCEPT", ""))
        if chosen is None or (chosen != "html" and chosen not in RENDERERS):
            return None
        key: object = chosen if query is NO_QUERY else _key(request, chosen, query)
        try:
            cached = self._kept.get(key)
            if cached is None or not cached.holds():
                endpoint = endpoint_of(match) if may_wait or chosen != "html" else None
                cached = None if endpoint is None else _made(request, endpoint, chosen, query)
                if cached is None:
                    return None
                self._keep(key, cached)
        except (ImproperlyConfigured, UnknownCheckError):  # the view says so
            return None
        response = _response(cached, CONTENT_TYPES[chosen])
        if chosen == "html":
            refresh(response, query)
        return response

    def _keep(self, key: object, cached: CachedResponse) -> None:
        # another dict each time: other threads may be at this one
        kept = [(each, value) for each, value in list(self._kept.items()) if each != key]
        self._kept = dict([*kept, (key, cached)][-MOST_RESPONSES:])


def _key(request: HttpRequest, chosen: str, query: Query) -> object:
    """Return what distinguishes an answer from others: its format, and what it is about.

    Filters are for pages; the page of a check has the address of the request in it, to be copied.
    """
    if not query.checks:
        return chosen if chosen != "html" or query == NO_QUERY else (chosen, query)
    return (chosen, query, link_to(request)) if chosen == "html" else (chosen, query.checks)


def _made(request: HttpRequest, endpoint: Endpoint, chosen: str, query: Query) -> CachedResponse | None:
    """Return the answer that everybody gets, if all records are fresh."""
    current = runtime.get()
    if not current.prepared:
        return None
    known = _known()
    until = current.monitor.store_client.draining_until if endpoint.is_readiness else math.inf
    if until <= time.monotonic():  # it has to be asked
        return None
    found = fresh_report(endpoint, query.checks)
    if found is None:
        return None
    policy = policy_for(endpoint.view_class, endpoint.initkwargs)
    if policy.needs_authority() or policy.details != "always":
        return None
    report, fresh_until = found
    body = (
        RENDERERS[chosen](report)
        if chosen in RENDERERS
        else our_page([endpoint.option("template_name")], report, query, link_to(request))
    )
    if body is None:
        return None
    page_until = time.monotonic() + HTML_SECONDS if chosen == "html" else math.inf
    until = min(until, fresh_until, page_until)
    return CachedResponse(body=body.encode(), status=report.status_code, until=until, known=known)


def _response(cached: CachedResponse, content_type: str) -> HttpResponse:
    response = HttpResponse(cached.body, status=cached.status, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept"
    if cached.status >= 500:
        vars(response)["_has_been_logged"] = True  # by our logger: ADMINS get no mail per probe
    return response
