"""The middleware that answers probes before anything else of the site can refuse them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, URLPattern, URLResolver, get_resolver, resolve
from django.utils import translation

from health_check import extensions
from health_check.conf import settings
from health_check.registry.endpoints import EndpointOptions, patterns_of
from health_check.views.access import AccessMixin, policy_for
from health_check.views.sync_async import is_issued

GetResponse = Callable[[HttpRequest], Any]


class HealthCheckMiddleware:
    """Answer the site's health endpoints, before hosts are validated, users looked up or requests redirected.

    Put it first in ``MIDDLEWARE``. With ``HEALTH_CHECK["EARLY_METRICS"]`` it answers the metrics page, too. What is
    left to the site as before: endpoints in a decorator of the site's, which may rely on other middleware, and
    requests with a session cookie where it matters who asks.

    Args:
        get_response: Answers all other requests.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._tails = Tails()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._answer(request)
        match = self._match(request)
        response: HttpResponseBase
        if match is None:
            response = self.get_response(request)
            return response
        return _finished(match.func(request, *match.args, **match.kwargs))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        match = self._match(request)
        response: HttpResponseBase
        if match is None:
            response = await self.get_response(request)
            return response
        view: Any = match.func
        if not iscoroutinefunction(view):
            view = sync_to_async(view)
        return _finished(await view(request, *match.args, **match.kwargs))

    def _match(self, request: HttpRequest) -> ResolverMatch | None:
        """Return the view that is to answer now, if there is one."""
        path = request.path_info
        try:
            if not path.endswith(self._tails.current()):
                return None
            match = _resolved(path)
            if not is_issued(match.func) or not _is_wanted(match.func) or _depends_on_user(request, match.func):
                return None
        except (ImproperlyConfigured, Resolver404):
            return None  # the site says so itself
        request.resolver_match = match
        return match


class Tails:
    """Know what the paths of endpoints end with, so that all other requests pass without being resolved twice."""

    def __init__(self) -> None:
        self._resolver: object = None
        self._tails: tuple[str, ...] = ()

    def current(self) -> tuple[str, ...]:
        """Return what a path has to end with.

        Raises:
            ImproperlyConfigured: If the URLconf cannot be imported.
        """
        resolver = get_resolver(settings.URLCONF)
        if resolver is not self._resolver:
            self._tails = tuple(set(_tails(patterns_of(settings.URLCONF))))
            self._resolver = resolver
        return self._tails


def _tails(patterns: Iterable[URLPattern | URLResolver], tail: str = "") -> Iterator[str]:
    """Yield what each path of the views to be answered ends with; empty if that is not known."""
    for pattern in patterns:
        route = getattr(pattern.pattern, "_route", None)  # what a language prefix or an expression has not
        known = route.rpartition(">")[2] if isinstance(route, str) else ""  # a translated one is no str
        end = tail + known if isinstance(route, str) and ">" not in route else known
        if isinstance(pattern, URLResolver):
            yield from _tails(pattern.url_patterns, end)
        elif is_issued(pattern.callback) and _is_wanted(pattern.callback):
            yield end


def _resolved(path: str) -> ResolverMatch:
    if not django_settings.USE_I18N:
        return resolve(path, urlconf=settings.URLCONF)
    language = translation.get_language_from_path(path) or django_settings.LANGUAGE_CODE
    with translation.override(language):
        return resolve(path, urlconf=settings.URLCONF)


def _is_wanted(callback: Any) -> bool:
    view_class = callback.view_class
    if issubclass(view_class, EndpointOptions):
        return True
    return settings.EARLY_METRICS and issubclass(view_class, tuple(_metrics_views()))


def _metrics_views() -> Iterator[type]:
    return (page.view_class for page in extensions.pages().values() if hasattr(page, "view_class"))


def _depends_on_user(request: HttpRequest, callback: Any) -> bool:
    """Tell whether it matters who asks, and that can only be found out further inside."""
    view_class = callback.view_class
    policy = policy_for(view_class, callback.view_initkwargs)
    if not policy.needs_authority():
        return False
    has_own_rule = view_class.is_authorized is not AccessMixin.is_authorized
    return has_own_rule or django_settings.SESSION_COOKIE_NAME in request.COOKIES


def _finished(response: HttpResponseBase) -> HttpResponseBase:
    """Return the response as later middleware would have left it."""
    if callable(getattr(response, "render", None)):
        response = response.render()  # type: ignore[attr-defined]
    content = getattr(response, "content", None)
    if content is not None and not response.has_header("Content-Length"):
        response.headers["Content-Length"] = str(len(content))
    return response
