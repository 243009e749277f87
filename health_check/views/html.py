"""The HTML page, rendered so that it appears even when the rest of the site does not work."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.template import Context, Engine, Template, TemplateDoesNotExist, loader
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils import translation

from health_check.monitor import runtime
from health_check.monitor.history import NO_HISTORY
from health_check.monitor.reports import Report, report_on
from health_check.registry.endpoints import Endpoint
from health_check.views.access import policy_for
from health_check.views.assets import version
from health_check.views.check_page import check_page_of
from health_check.views.page import page_of
from health_check.views.query import Query, query_of

TEMPLATES = pathlib.Path(__file__).parents[1] / "templates"

METRICS = ("health_check_metrics", "health_check:health_check_metrics")
"""What the metrics page may be called."""


def render_page(
    request: HttpRequest,
    template_names: Sequence[str],
    context: dict[str, Any],
    *,
    status: int,
    **response_kwargs: Any,
) -> HttpResponse:
    """Return the page.

    The project's own template gets the request and its context processors. Ours needs none of them, and they
    might query the database that is down; it is also found where the project has no template engine for it.

    Args:
        request: The request.
        template_names: The templates, the first that exists counts.
        context: What the view passes on; ``report`` is the Report.
        status: The HTTP status.
        response_kwargs: For the response, ``content_type`` say.
    """
    query = query_of(request)
    context = {**context, **_parts(context["report"], query, link_to(request))}
    template = _own_template(template_names)
    response: HttpResponse
    if template is not None:
        response = TemplateResponse(request, template, context, status=status, **response_kwargs)
        response.render()
    else:
        response = HttpResponse(_our_own(context), status=status, **response_kwargs)
    if query.refresh:  # has a browser load the page again
        response.headers["Refresh"] = str(query.refresh)
    return response


def link_to(request: HttpRequest) -> str:
    """Return the address of a request, without its query string; its path where the host is not allowed."""
    try:
        return request.build_absolute_uri(request.path)
    except DisallowedHost:
        return request.path


def _our_own(context: dict[str, Any]) -> str:
    with translation.override("en"):  # that of its words: numbers are to look alike
        return _our_template().render(Context(context))


def login_link(request: HttpRequest) -> str:
    """Return where to log in; empty where the site has no sessions, or none of its pages is for that."""
    if not apps.is_installed("django.contrib.sessions"):
        return ""
    for name in (django_settings.LOGIN_URL, "admin:login"):
        try:
            url = resolve_url(name)
            if not url.startswith(("http://", "https://", "//")):
                resolve(url)
        except (NoReverseMatch, Resolver404):
            continue
        return f"{url}{'&' if '?' in url else '?'}{urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})}"
    return ""


def _parts(report: Report, query: Query, link: str) -> dict[str, Any]:
    known = runtime.history(report.readings) if report.details and report.rows else NO_HISTORY
    places = _endpoints(report, query) if report.details else []  # in the language of the request, as their prefixes
    metrics = next(filter(None, map(_path_of, METRICS)), "") if report.details else ""
    drained = report.details and bool(runtime.get().monitor.store_client.draining)
    with translation.override("en"):
        parts = page_of(report, known, query, drained=drained)
        if len(query.checks) == 1 and len(report.rows) == 1:
            failures = runtime.failures(report.readings) if report.details else {}
            paths = {place["name"]: place["link"] for place in places}
            parts |= check_page_of(report, parts["lines"][0], known, failures, link, paths)
    asked = urlencode([("check", label) for label in query.checks])
    return {
        **parts,
        "styles": version("css"),
        "endpoints": places,
        "ready": [place for place in places if place["is_readiness"] and place["name"] != report.name],
        "metrics": metrics,
        "asked": f"&{asked}" if asked else "",
    }


def _endpoints(report: Report, query: Query) -> list[dict[str, Any]]:
    """Return the endpoints that have a name, those of other URLconfs left out, and what each answers now."""
    known = {} if query.checks else {report.name: report.status_code}
    return [
        {
            "name": endpoint.name,
            "link": link,
            "is_readiness": endpoint.is_readiness,
            "status_code": known.get(endpoint.name) or _status_of(endpoint),
        }
        for endpoint in runtime.get().catalogue.endpoints
        if (link := _path_of(endpoint.url_name))
    ]


def _path_of(url_name: str) -> str:
    """Return the path that a URL name has; empty where it has none, or one with arguments."""
    try:
        return reverse(url_name) if url_name else ""
    except NoReverseMatch:  # it has arguments, or is in another URLconf
        return ""


def _status_of(endpoint: Endpoint) -> int | None:
    """Return what an endpoint answers, if all may ask there and its results are fresh: nothing is run."""
    current = runtime.get()
    try:
        is_open = policy_for(endpoint.view_class, endpoint.initkwargs).open
        found = current.catalogue.listed(endpoint) if is_open else None
        if found is None:
            return None
        listed, check_set = found
        fresh = current.monitor.fresh(check_set.checks_of([listed]))
        draining = bool(current.monitor.store_client.draining)
        return None if fresh is None else report_on(listed, check_set, fresh[0], draining=draining).status_code
    except ImproperlyConfigured:  # the endpoint says so itself
        return None


def _own_template(template_names: Sequence[str]) -> Any:
    """Return the project's own template for the page, None where it has none."""
    try:
        template = loader.select_template(template_names)
    except TemplateDoesNotExist:
        if list(template_names) != ["health_check/index.html"]:
            raise
        return None
    return None if _is_ours(template) else template


@functools.cache
def _our_template() -> Template:
    return Engine(dirs=[str(TEMPLATES)], libraries={"i18n": "django.templatetags.i18n"}).get_template(
        "health_check/index.html"
    )


def _is_ours(template: Any) -> bool:
    origin = getattr(template, "origin", None)
    return origin is not None and pathlib.Path(str(origin.name)).is_relative_to(TEMPLATES)
