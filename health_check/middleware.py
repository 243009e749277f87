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

from health_check import extensions, logs
from health_check.conf import settings
from health_check.registry.endpoints import EndpointOptions, patterns_of
from health_check.views.access import AccessMixin, policy_for
from health_check.views.sync_async import is_issued
from health_check.views.urlconfs import choosers_after

GetResponse = Callable[[HttpRequest], Any]


class HealthCheckMiddleware:
    """Answer the site's health endpoints, before hosts are validated, users looked up or requests redirected.

    Put it first in ``MIDDLEWARE``. With ``HEALTH_CHECK["EARLY_METRICS"]`` it answers the metrics page, too. It does not
    answer endpoints in a decorator of the site, which may rely on other middleware, nor requests with a session
    cookie where it matters who asks. Where a middleware chooses the URLconf by the request, as those of django-hosts
    and django-tenants do, put this one after it: before it, it answers nothing.

    Args:
        get_response: Answers all other requests.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._known: dict[Any, tuple[object, tuple[str, ...]]] = {}
        self._is_chosen_later = bool(choosers_after(type(self)))
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._answer(request)
        match = self._match(request)
        response: HttpResponseBase
        if match is None:
            before = getattr(request, "urlconf", None)
            response = self.get_response(request)
            self._learn(request, before)
            return response
        return _finished(match.func(request, *match.args, **match.kwargs))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        match = self._match(request)
        response: HttpResponseBase
        if match is None:
            before = getattr(request, "urlconf", None)
            response = await self.get_response(request)
            self._learn(request, before)
            return response
        view: Any = match.func
        if not iscoroutinefunction(view):
            view = sync_to_async(view)
        return _finished(await view(request, *match.args, **match.kwargs))

    def _match(self, request: HttpRequest) -> ResolverMatch | None:
        """Return the view that is to answer now, if there is one."""
        path, chosen = request.path_info, getattr(request, "urlconf", None)
        if chosen is None and self._is_chosen_later:
            return None
        try:
            urlconf = chosen or settings.URLCONF
            if not path.endswith(self._tails_of(urlconf)):
                return None
            match = _resolved(path, urlconf)
            if not is_issued(match.func) or not _is_wanted(match.func) or _depends_on_user(request, match.func):
                return None
        except (ImproperlyConfigured, Resolver404, TypeError):  # the last of a list of patterns
            return None  # the site says so itself
        request.resolver_match = match
        return match

    def _tails_of(self, urlconf: Any) -> tuple[str, ...]:
        """Return what a path of an endpoint has to end with, so that no other request is resolved twice.

        Raises:
            ImproperlyConfigured: If the URLconf cannot be imported.
            TypeError: If it is a list of patterns.
        """
        resolver = get_resolver(urlconf)
        known = self._known.get(urlconf)
        if known is None or known[0] is not resolver:
            known = self._known[urlconf] = resolver, tuple(set(_tails(patterns_of(urlconf))))
        return known[1]

    def _learn(self, request: HttpRequest, before: object) -> None:
        """Note that a later middleware has chosen another URLconf, in a way that its code did not show."""
        if getattr(request, "urlconf", None) not in (None, before, getattr(django_settings, "ROOT_URLCONF", None)):
            self._is_chosen_later = True
            logs.warn_once(
                "urlconf",
                "A middleware after HealthCheckMiddleware chooses the URLconf by the request: from now on requests for "
                "health pass all middleware. Put HealthCheckMiddleware right after that one.",
            )


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


def _resolved(path: str, urlconf: Any) -> ResolverMatch:
    if not django_settings.USE_I18N:
        return resolve(path, urlconf=urlconf)
    language = translation.get_language_from_path(path) or django_settings.LANGUAGE_CODE
    with translation.override(language):
        return resolve(path, urlconf=urlconf)


def _is_wanted(callback: Any) -> bool:
    view_class = callback.view_class
    if issubclass(view_class, EndpointOptions):
        return True
    return settings.EARLY_METRICS and issubclass(view_class, tuple(_metrics_views()))


def _metrics_views() -> Iterator[type]:
    return (page.view_class for page in extensions.pages.values() if hasattr(page, "view_class"))


def _depends_on_user(request: HttpRequest, callback: Any) -> bool:
    """Return whether it matters who asks, and that can only be found out further inside."""
    view_class = callback.view_class
    policy = policy_for(view_class, callback.view_initkwargs)
    if not policy.needs_authority() and not view_class.may_change_access():
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
