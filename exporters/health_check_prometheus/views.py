"""The metrics page."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.generic import View
from prometheus_client.registry import REGISTRY

from health_check.logs import log_once
from health_check.views.access import AccessMixin, AccessPolicy
from health_check.views.sync_async import issue, non_atomic_requests
from health_check_prometheus.exposition import Encoder, chosen_encoder, gzip_accepted
from health_check_prometheus.registries import own_source, source_of
from health_check_prometheus.scrape_timeout import TIMEOUT_HEADER, scrape_timeout

PLAIN = "text/plain; charset=utf-8"

OWN_SCOPE = "health"
"""What ``?scope=`` is for the metrics of the health checks alone."""


@method_decorator([non_atomic_requests, login_not_required], name="dispatch")
class MetricsView(AccessMixin, View):
    """Show all metrics of prometheus_client's default registry, or of another one.

    Answers in a text format or in OpenMetrics 1.0, as ``Accept`` prefers, compressed where the client accepts gzip.
    ``?name[]=`` restricts the page to the metrics named, ``?scope=health`` to those of the health checks. In
    prometheus_client's multiprocess mode it has what all processes wrote.
    """

    http_method_names = ["get", "head", "options"]  # noqa: RUF012 - as Django declares it
    registry: Any = REGISTRY

    also_made_by = frozenset({"generate_latest", "make_wsgi_app", "make_asgi_app", "choose_encoder"})
    """What of prometheus_client views of others call that show the same: where they are guarded, so is this one."""
    open_elsewhere = ("django_prometheus.exports.ExportToDjangoView",)
    """Such views that are guarded by nothing."""

    @cached_property
    def access_policy(self) -> AccessPolicy:
        return dataclasses.replace(super().access_policy, details="always")  # metrics have no messages

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Return the view.

        Args:
            registry: The registry to show; default prometheus_client's.
            initkwargs: Who is answered: see ``HEALTH_CHECK["ACCESS"]``.
        """
        view: Callable[..., HttpResponseBase] = issue(super().as_view(**initkwargs))
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase
        try:
            response = self.refusal() or super().dispatch(request, *args, **kwargs)
        except ImproperlyConfigured as error:
            log_once(f"metrics configuration {error}", "The metrics page is not configured properly.", error)
            response = HttpResponse(self.explanation(error), status=500, content_type=PLAIN)
            vars(response)["_has_been_logged"] = True
        response.headers["Cache-Control"] = "no-store"
        return response

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the page."""
        try:
            names, scope = request.GET.getlist("name[]"), request.GET.get("scope", "")
        except SuspiciousOperation:  # more parameters than Django reads
            return HttpResponse("Too many parameters.\n", status=400, content_type=PLAIN)
        if scope not in ("", OWN_SCOPE):
            return HttpResponse(f"There is no such scope: use ?scope={OWN_SCOPE}.\n", status=400, content_type=PLAIN)
        encoder, content_type = chosen_encoder(request.META.get("HTTP_ACCEPT", ""))
        with scrape_timeout(request.headers.get(TIMEOUT_HEADER)):
            body = self._body(encoder, names, own=bool(scope))
        response = HttpResponse(body, content_type=content_type)
        if gzip_accepted(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            response.content = gzip.compress(body, compresslevel=1)
            response.headers["Content-Encoding"] = "gzip"  # so that GZipMiddleware leaves it alone
        patch_vary_headers(response, ["Accept", "Accept-Encoding"])
        return response

    def _body(self, encoder: Encoder, names: Sequence[str], *, own: bool) -> bytes:
        if not own:
            try:
                return encoder(source_of(self.registry, names))
            except Exception as error:  # of another collector, which must not take ours away
                log_once("metrics page", "The metrics page has the health checks alone: other metrics failed.", error)
        return encoder(own_source(names))
