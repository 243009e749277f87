"""The health view: shows the report of its endpoint in the format that is asked for."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.functional import cached_property  # that of functools holds one lock for all instances
from django.views.generic import TemplateView

from health_check.conf import settings
from health_check.exceptions import HealthCheckException
from health_check.logs import log_once
from health_check.monitor import runtime
from health_check.monitor.history import NO_HISTORY
from health_check.monitor.reports import Report
from health_check.registry.endpoints import EndpointOptions
from health_check.views import renderers
from health_check.views.arguments import PLAIN, has_no_code, refuse_unusable
from health_check.views.assets import asset, revalidated
from health_check.views.badges import badge
from health_check.views.endpoint import EndpointMixin, UnknownCheckError, restricted, unknown_check
from health_check.views.html import link_to, login_link, render_page
from health_check.views.negotiation import CONTENT_TYPES, FORMATS, MEDIA_TYPES, chosen_format
from health_check.views.plugins import Plugins
from health_check.views.response_cache import Key, ResponseCache, key_of
from health_check.views.subsets import errors_of, in_subset, names_in
from health_check.views.sync_async import AsyncView, Callback, View, issue, non_atomic_requests

BADGE_SECONDS = 10
"""For how many seconds a badge may be kept by who shows it."""


class HealthCheckView(EndpointMixin, TemplateView):
    """Answer whether the endpoint's checks pass: 200 if they do, else 500.

    The format is chosen by ``?format=`` or ``Accept``: HTML, JSON, text, health+json, RSS, Atom, or a badge as SVG.

    A subclass may set ``template_name`` and override ``get_plugins``, ``get``, ``get_context_data``,
    ``render_to_response(plugins, status)`` and ``render_to_response_json(plugins, status)``.
    """

    http_method_names = ["get", "head", "options"]  # noqa: RUF012 - as Django declares it
    template_name = "health_check/index.html"
    view_is_async = False
    """Also where methods of a subclass are coroutines: ``dispatch`` sees them to their end."""

    _is_for_all = _is_readiness = False
    """Of the report of this request: whether everybody gets the same, and whether it depends on draining."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        """Return the view.

        Args:
            checks: Dotted paths or short names, classes, or pairs of these with a dict of options. Default: Cache,
                Database, Disk, Mail, Memory and Storage; an empty list checks nothing and answers 200.
            warnings_as_errors: Whether warnings of critical checks count; default
                ``HEALTH_CHECK["WARNINGS_AS_ERRORS"]``.
            error_status_code: The HTTP status when something counts; default 500.
            readiness: Whether load balancers are to send requests where this answers 200: then it answers 503 while
                its host is drained. Default: where its URL name or path says so (ready, readyz, readiness).
            liveness: Whether what fails here is restarted; system checks then look at its checks. Default: where its
                URL name or path says so (live, livez, liveness, alive).
            template_name: The template of the page; default ``health_check/index.html``.
            details: Who may read messages, and ``open``, ``tokens``, ``networks`` and ``proxies``, who is answered: the
                keys of ``HEALTH_CHECK["ACCESS"]``, which says what is not stated here.
            use_threading: Deprecated; False runs the checks in the thread of the request.
        """
        if initkwargs.get("use_threading") is not None:
            warnings.warn(
                "use_threading is deprecated: set HEALTH_CHECK['MAX_CONCURRENCY'] to 0 to run checks in the "
                "thread of the request.",
                DeprecationWarning,
                stacklevel=2,
            )
        if isinstance(initkwargs.get("checks"), Iterator):  # it can be gone through once
            initkwargs["checks"] = tuple(initkwargs["checks"])
        if isinstance(inspect.getattr_static(cls, "checks"), Iterator):
            cls.checks = tuple(cls.checks)
        refuse_unusable(cls, initkwargs)
        view: Any = login_not_required(non_atomic_requests(super().as_view(**initkwargs)))
        view_class: Any = cls
        if not set(initkwargs) - PLAIN and has_no_code(view_class):
            view = Callback(view, *cls._native_views(initkwargs))
        issued: Callable[..., HttpResponse] = issue(view)
        return issued

    @classmethod
    def _native_views(cls, initkwargs: dict[str, Any]) -> tuple[View, AsyncView]:
        """Return what answers synchronously, and on an event loop, for a view without code of its own."""
        response_cache = ResponseCache()

        def begun(request: HttpRequest, *args: Any, **kwargs: Any) -> HealthCheckView:
            self = cls(**initkwargs)
            self.setup(request, *args, **kwargs)
            return self

        def finished(self: HealthCheckView, key: Key | None) -> HttpResponseBase:
            response = self.dispatch(self.request, *self.args, **self.kwargs)
            if self._is_for_all:
                with contextlib.suppress(ImproperlyConfigured):  # an endpoint without checks needs no settings
                    response_cache.keep(key, response, self.report, is_readiness=self._is_readiness)
            return response

        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            key = key_of(request)
            return response_cache.answer(key) or finished(begun(request, *args, **kwargs), key)

        async def async_answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            key = key_of(request)
            cached = response_cache.answer(key)
            if cached is not None:
                return cached
            self = begun(request, *args, **kwargs)
            if await self._may_go_on():
                return finished(self, key)
            return await sync_to_async(lambda: response_cache.answer(key) or finished(self, key))()

        return answer, async_answer

    async def _may_go_on(self) -> bool:
        """Get the report, and return whether the rest of the answer does not block the event loop."""
        if self.use_threading is False or self._mounted is None or "subset" in self.kwargs:
            return False
        try:
            if self.access_policy.needs_authority():  # it may look up a session
                await sync_to_async(lambda: self.access_decision)()
            if self.access_decision.status != 200 or not self._reads_checks:
                return True
            if not self._needs_nothing:
                current = runtime.get()
                found = current.catalogue.listed(self._mounted) if current.prepared else None
                if found is None or settings.MAX_CONCURRENCY == 0:  # checks have to be found out, or to run here
                    return False
                endpoint, check_set = found[0], restricted(found[1], found[0], self.query.checks)
                self._is_readiness = endpoint.is_readiness
                self.report = self._shown((await runtime.aread([endpoint], check_set=check_set)).reports[0])
        except (ImproperlyConfigured, RuntimeError, UnknownCheckError):  # dispatch turns it into an answer
            return False
        return self._format not in ("html", "svg")  # the project's template may use the ORM, and both show the past

    @property
    def _reads_checks(self) -> bool:
        """Whether the checks matter to the answer."""
        return _asks_for_status(self.request) and self._format is not None and self.query.runbook is None

    @property
    def _format(self) -> str | None:
        """The format that is asked for; None if there is none that the client accepts."""
        try:
            name = self.request.GET.get("format", "")  # code of the site's may have set it
        except SuspiciousOperation:  # more parameters than Django reads
            name = ""
        return chosen_format(name, self.request.META.get("HTTP_ACCEPT", ""))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase
        try:
            _ = self._subset
            response = (
                self.refusal() or asset(request, self.query) or _awaited(super().dispatch(request, *args, **kwargs))
            )
        except ImproperlyConfigured as error:
            log_once(f"configuration {error}", "The health checks are not configured properly.", error)
            status = 200 if self._needs_nothing else self._status_of_errors()
            response = self._told(self.explanation(error), status)
        except UnknownCheckError as error:
            response = self.refusal() or self._told(f"{error}\n", 404)
        except _RefusedError:
            response = self.refusal() or self.http_method_not_allowed(request)
        if response.status_code >= 500:
            vars(response)["_has_been_logged"] = True  # by our logger: ADMINS get no mail per probe
        response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ["Accept"])
        return response

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        chosen = self._format
        if chosen is None:
            return self.not_acceptable()
        if chosen == "html":
            return self.render_to_response(self.plugin_list, self.report.status_code)
        if chosen == "json" and type(self).render_to_response_json is not HealthCheckView.render_to_response_json:
            return self.render_to_response_json(self.plugin_list, self.report.status_code)
        return self._rendered(chosen, self.report)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer with the status of GET, as HAProxy probes by OPTIONS; to a CORS preflight as Django does."""
        response = super().options(request, *args, **kwargs)
        if _asks_for_status(request):
            response.status_code = _awaited(self.get(request, *args, **kwargs)).status_code
        return response

    def _told(self, text: str, status: int) -> HttpResponse:
        """Return an answer in words; to OPTIONS without them, as ``options`` answers."""
        if self.request.method != "OPTIONS":
            return _response(text, status, "text")
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        return HttpResponse(status=status, headers={"Allow": allowed})

    @cached_property
    def report(self) -> Report:
        """The endpoint's report: the same for all of this request, unless the view says something else of itself."""
        return self._shown(self._read())

    def _read(self) -> Report:
        if self._needs_nothing:
            if self.query.checks:
                raise unknown_check(self.query.checks[0], ())
            return Report(name=self._own_endpoint().name, rows=(), status_code=200)
        endpoint, check_set = self._found()
        self._is_readiness = endpoint.is_readiness
        return runtime.read([endpoint], check_set=check_set).reports[0]

    @cached_property
    def plugin_list(self) -> Plugins:
        """The request's own check instances, filled from their records."""
        return Plugins(self.report)

    @property
    def plugins(self) -> dict[str, Any]:
        """The check instances by label."""
        return self.plugin_list.by_label

    @property
    def errors(self) -> list[HealthCheckException]:
        """The errors of those checks that make the endpoint fail, and of draining."""
        return errors_of(self.report)

    def check(self, subset: str | None = None) -> list[HealthCheckException]:
        """Return ``errors`` of a subset of the checks, as views written for django-health-check 3.2x expect.

        Raises:
            Http404: If there is no subset of this name.
        """
        return self.errors if subset is None else errors_of(in_subset(self.report, subset))

    run_check = check

    def filter_plugins(self, subset: str | None = None) -> dict[str, Any]:
        """Return ``plugins`` of a subset of the checks, as views written for django-health-check 3.2x expect.

        Raises:
            Http404: If there is no subset of this name.
        """
        return self.plugins if subset is None else Plugins(in_subset(self.report, subset)).by_label

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the template's context: ``plugins``, ``errors`` (whether any check has some) and ``report``."""
        context = super().get_context_data(**kwargs)
        return {
            "plugins": self.plugin_list,
            "errors": self.report.draining or any(reading.messages for reading in self.report.readings),
            "report": self.report,
            **context,
        }

    def render_to_response(self, plugins: Any, status: int = 200, **response_kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """Return the page; override to answer HTML differently.

        Args:
            plugins: The check instances; iterates over them and offers ``.items()`` by label. A context dict
                is taken as it is.
            status: The HTTP status.
        """
        is_context = isinstance(plugins, Mapping) and "plugins" in plugins
        context = dict(plugins) if is_context else self.get_context_data(plugins=plugins)
        context.setdefault("report", self.report)
        sees_more = self.access_policy.details == "authorized" and not self.access_decision.details
        context.setdefault("login_link", login_link(self.request) if sees_more else "")
        try:
            return render_page(self.request, self.get_template_names(), context, status=status, **response_kwargs)
        except Exception as error:
            log_once("page", "The page of the health checks could not be rendered; the answer is plain text.", error)
            return _response(renderers.as_text(self.report), status, "text")

    def render_to_response_json(self, plugins: Any, status: int = 200) -> HttpResponse:
        """Return the JSON; override to answer JSON differently.

        Args:
            plugins: As for ``render_to_response``.
            status: The HTTP status.
        """
        pairs = plugins.items() if hasattr(plugins, "items") else ((repr(plugin), plugin) for plugin in plugins)
        statuses = {label: str(plugin.pretty_status()) for label, plugin in pairs}
        return _response(renderers.json_of(self.report, statuses), status, "json")

    def _rendered(self, chosen: str, report: Report) -> HttpResponse:
        """Return the report in any format but HTML; feeds and badges always with status 200."""
        if chosen == "svg":
            return self._badge(report)
        if chosen in renderers.FEEDS:
            return _response(renderers.as_feed(report, chosen, link_to(self.request)), 200, chosen)
        return _response(renderers.RENDERERS[chosen](report), report.status_code, chosen)

    def _badge(self, report: Report) -> HttpResponse:
        shows_past = self.query.show == "uptime" and report.details
        content = badge(report, self.query, runtime.history(report.readings) if shows_past else NO_HISTORY).encode()
        tag = hashlib.sha256(content).hexdigest()[:16]
        return revalidated(self.request, content, media_type="image/svg+xml", tag=tag, max_age=BADGE_SECONDS)

    def not_acceptable(self) -> HttpResponse:
        """Return the answer to a request that accepts no format there is."""
        supported, formats = ", ".join(MEDIA_TYPES), ", ".join(sorted(FORMATS))
        text = (
            f"Not acceptable. Ask for one of: {supported}; or add ?format= with one of: {formats}.\n"
            "For Prometheus and OpenMetrics scrape /metrics, which health_check_prometheus serves.\n"
        )
        return _response(text, 406, "text")

    @cached_property
    def _subset(self) -> str | None:
        """The subset of 3.x that the route of this request names; of a view with own plugins that is its own affair.

        Raises:
            Http404: If there is no subset of this name.
        """
        name = None if type(self).get_plugins is not EndpointOptions.get_plugins else self.kwargs.get("subset")
        if name is not None:
            names_in(name)
        return name

    def _shown(self, report: Report) -> Report:
        decision = self.access_decision  # as the view says now
        if decision.status != 200:
            raise _RefusedError
        if self._subset is not None:
            report = in_subset(report, self._subset)
            if self.query.checks and not report.rows:
                raise unknown_check(self.query.checks[0], ())
        self._is_for_all = decision.for_all and decision.details
        return report if decision.details else report.without_details()


def _asks_for_status(request: HttpRequest) -> bool:
    """Return whether the checks matter to the answer: to all methods but one that is refused, and a CORS preflight."""
    if request.method == "OPTIONS":
        return not {"Origin", "Access-Control-Request-Method"} <= request.headers.keys()
    return request.method in ("GET", "HEAD")


class _RefusedError(Exception):
    """Report that the view has said, while it answered, that it does not answer this request."""


def _awaited(response: HttpResponseBase | Awaitable[HttpResponseBase]) -> HttpResponseBase:
    """Return a response, also where the method of a subclass is a coroutine."""
    if not inspect.isawaitable(response):
        return response

    async def wait() -> HttpResponseBase:
        return await response

    return async_to_sync(wait)()


def _response(body: str, status: int, chosen: str) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=CONTENT_TYPES[chosen])
