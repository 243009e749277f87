"""The system checks of the endpoints and their entries."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check import access, conf, process
from health_check.catalogue import Catalogue
from health_check.endpoints import Endpoint, walk
from health_check.guard import ARGUMENTS, rules_for
from health_check.system_checks.settings import unusable

METHODS_OF_VERSION_4 = (
    "get_checks",
    "get_executor",
    "render_to_response_atom",
    "render_to_response_openmetrics",
    "render_to_response_rss",
    "render_to_response_text",
)
"""What views for django-health-check 4.x override, and nobody calls here."""


def check_endpoints(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints of one name (E002), entries that are unusable (E003) or share a label (E004), and others.

    Odd methods of views are E006, unusable rules of access E001, checks used with different policies W003, no
    endpoint at all W011.
    """
    try:
        names = Counter(endpoint.url_name or endpoint.route for endpoint in walk(conf.settings.URLCONF))
        catalogue = process.current().catalogue
    except ImproperlyConfigured as error:
        return unusable([text for text in [str(error)] if text not in conf.problems()])
    endpoints = (*catalogue.endpoints, *catalogue.deferred)
    return [
        *_no_endpoint(endpoints),
        *_equal_names(names),
        *_entry_problems(catalogue),
        *_foreign_methods(dict.fromkeys(endpoint.view_class for endpoint in endpoints)),
        *unusable(_unusable_rules(endpoints), hint=f"Correct what its as_view() says: {', '.join(ARGUMENTS)}."),
    ]


def _no_endpoint(endpoints: Sequence[Endpoint]) -> Iterator[CheckMessage]:
    if not endpoints:
        yield CheckWarning(
            f"There is no health endpoint in {conf.settings.URLCONF}: nothing is ever checked.",
            hint='Add path("health/", include("health_check.urls")), or set HEALTH_CHECK[\'URLCONF\'].',
            id="health_check.W011",
        )


def _equal_names(names: Counter[str]) -> Iterator[CheckMessage]:
    for name, count in names.items():
        if count > 1:
            yield Error(
                f"{count} health endpoints have the URL name {name!r}.",
                hint="Give each path() a name of its own.",
                id="health_check.E002",
            )


def _foreign_methods(views: Iterable[type]) -> Iterator[CheckMessage]:
    for view in views:
        without_effect = [name for name in METHODS_OF_VERSION_4 if hasattr(view, name)]
        cannot_be_async = [name for name in ("get", "dispatch") if inspect.iscoroutinefunction(getattr(view, name))]
        for name in [*without_effect, *cannot_be_async]:
            what = "is async, which does not work" if name in cannot_be_async else "has no effect"
            yield Error(
                f"{view.__module__}.{view.__qualname__}.{name}() {what}.",
                hint="Override get_plugins(), get() or render_to_response…(plugins, status), as sync methods.",
                id="health_check.E006",
            )


def _unusable_rules(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    if access.problems():  # check_settings says so
        return
    for endpoint in endpoints:
        try:
            rules_for(endpoint.view_class, endpoint.initkwargs)
        except ImproperlyConfigured as error:
            yield f"Health endpoint {endpoint.name!r}: {error}"


def _entry_problems(catalogue: Catalogue) -> Iterator[CheckMessage]:
    for problem in catalogue.assembly.problems:
        text = f"Health endpoint {problem.endpoint!r}: {problem.text}"
        if problem.kind == "policies":
            hint = "Use the same options wherever the check is used, or different names for different checks."
            yield CheckWarning(text, hint=hint, id="health_check.W003")
        else:
            number = "E003" if problem.kind == "unusable" else "E004"
            yield Error(text, hint="Until then it is shown as a failing check.", id=f"health_check.{number}")
