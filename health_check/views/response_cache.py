"""The cache of responses: the bytes that were rendered before, while the records that they show are fresh."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from health_check.monitor import runtime
from health_check.monitor.reports import Report
from health_check.views.html import link_to
from health_check.views.negotiation import CONTENT_TYPES, chosen_format
from health_check.views.query import NO_QUERY, query_of
from health_check.views.renderers import RENDERERS

MOST_RESPONSES = 32
"""How many answers to keep for each view."""

HTML_SECONDS = 1.0
"""For how long a page is cached at most: it shows ages, in seconds."""


Key = tuple[Any, ...]


class CachedResponse(NamedTuple):
    """An answer, and what has to be as it was for the answer to hold."""

    body: bytes
    """The body."""
    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """The headers."""
    until: float
    """Until when the records are fresh, on the monotonic clock."""
    known: tuple[object, ...]
    """What was known."""


class ResponseCache:
    """Answer the requests to one view that has answered the same before.

    For views that override nothing, and are open to all: what they answer depends on the report alone. Feeds have the
    address of the request in them, and are not kept.
    """

    def __init__(self) -> None:
        self._kept: dict[Key, CachedResponse] = {}

    def answer(self, key: Key | None) -> HttpResponse | None:
        """Return the answer to a request; None where the view has to find it.

        Args:
            key: What ``key_of`` returns of the request.
        """
        cached = None if key is None else self._kept.get(key)
        try:
            if cached is None or time.monotonic() >= cached.until or cached.known != _known():
                return None
        except Exception:  # the view says what is wrong; settings may be such as cannot be compared
            return None
        response = HttpResponse(cached.body, status=cached.status, headers=cached.headers)
        if cached.status >= 500:
            vars(response)["_has_been_logged"] = True  # by our logger: ADMINS get no mail per probe
        return response

    def keep(self, key: Key | None, response: HttpResponseBase, report: Report, *, is_readiness: bool) -> None:
        """Keep what a view has answered with a report that it shows everybody, if all records are fresh.

        Args:
            key: What ``key_of`` returns of the request.
            response: The answer.
            report: The report.
            is_readiness: Whether it matters that the host is drained.
        """
        if key is None or type(response) is not HttpResponse or not runtime.get().prepared:  # a template of the site's
            return
        if response.headers["Content-Type"] != CONTENT_TYPES[key[0]]:  # the page could not be rendered
            return
        monitor = runtime.get().monitor
        known = _known()
        fresh = monitor.fresh([reading.definition for reading in report.readings])
        until = monitor.store_client.draining_until if is_readiness else math.inf
        if fresh is None or (is_readiness and report.draining != bool(monitor.store_client.draining)):
            return
        if any(now.record is not then.record for now, then in zip(fresh[0], report.readings, strict=True)):
            return
        if key[0] == "html":
            until = min(until, time.monotonic() + HTML_SECONDS)
        until = min(until, fresh[1])
        cached = CachedResponse(response.content, response.status_code, dict(response.headers), until, known)
        # another dict each time: other threads may be at this one
        kept = [(each, value) for each, value in list(self._kept.items()) if each != key]
        self._kept = dict([*kept, (key, cached)][-MOST_RESPONSES:])


def _known() -> tuple[object, ...]:
    """Return what answers depend on: the records, the checks, whether the host is drained, and the settings."""
    current, said = runtime.get(), getattr(django_settings, "HEALTH_CHECK", None)
    monitor = current.monitor
    said = tuple(said.items()) if isinstance(said, dict) else said
    return current, monitor.stamp, current.catalogue.current, bool(monitor.store_client.draining), said


def key_of(request: HttpRequest) -> Key | None:
    """Return the format of a request, and what else distinguishes its answer; None for one that is not kept.

    Filters are for pages; the page of a check has the address of the request in it, to be copied.
    """
    query, match = query_of(request), request.resolver_match
    chosen = chosen_format(query.format, request.META.get("HTTP_ACCEPT", ""))
    if request.method not in ("GET", "HEAD") or match is None or "subset" in match.kwargs:
        return None
    if chosen is None or (chosen != "html" and chosen not in RENDERERS):
        return None
    if query.runbook is not None or query.unusable:
        return None
    if query is NO_QUERY or (not query.checks and (chosen != "html" or query == NO_QUERY)):
        return (chosen,)
    return (chosen, query, link_to(request)) if chosen == "html" else (chosen, query.checks)
