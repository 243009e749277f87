"""The HTML page, rendered so that it appears even when the rest of the site does not work."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine, Template, TemplateDoesNotExist, loader
from django.template.response import TemplateResponse
from django.utils import translation

from health_check.monitor import runtime
from health_check.monitor.history import NO_HISTORY, History
from health_check.monitor.reports import Report
from health_check.views.addresses import Address, addresses, metrics_address
from health_check.views.assets import version
from health_check.views.check_page import check_headline, check_of
from health_check.views.page import page_of
from health_check.views.query import Query, query_of

TEMPLATES = pathlib.Path(__file__).parents[1] / "templates"


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


def _parts(report: Report, query: Query, link: str) -> dict[str, Any]:
    known = runtime.history(report.readings) if report.details and report.rows else NO_HISTORY
    whole = None if query.checks else report
    places = addresses(whole) if report.details else []  # in the language of the request, whose prefix they may have
    metrics = metrics_address() if report.details else ""
    drained = report.details and bool(runtime.get().monitor.store_client.draining)
    with translation.override("en"):
        parts = page_of(report, known, query, drained=drained)
        if len(query.checks) == 1 and len(report.rows) == 1:
            parts |= _of_one_check(report, parts, link, history=known, places=places)
    asked = urlencode([("check", label) for label in query.checks])
    return {
        **parts,
        "styles": version("css"),
        "endpoints": places,
        "ready": [place for place in places if place.is_readiness and place.name != report.name],
        "metrics": metrics,
        "asked": f"&{asked}" if asked else "",
    }


def _of_one_check(
    report: Report, parts: Mapping[str, Any], link: str, *, history: History, places: Sequence[Address]
) -> dict[str, Any]:
    (line,) = parts["lines"]
    failures = runtime.failures(report.readings) if report.details else {}
    check = check_of(
        report,
        line,
        history=history,
        failures=failures.get(line["reading"].label, ()),
        check_set=runtime.get().catalogue.current,
        link=link,
        places={place.name: place.link for place in places},
    )
    return {"check": check, "headline": check_headline(line)}


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
