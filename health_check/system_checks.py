"""The system checks: what ``manage.py check`` says about the settings and the endpoints."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check import access, conf, process
from health_check.catalogue import Catalogue
from health_check.endpoints import walk
from health_check.stores import Store, create_store

DISTRIBUTION = "django-health-exporter"

READINESS = re.compile(r"(?<![a-z])(ready|readyz|readiness)(?![a-z])", re.IGNORECASE)
"""What readiness endpoints are called: a load balancer sends no requests where they fail."""

METHODS_OF_VERSION_4 = (
    "get_checks",
    "get_executor",
    "render_to_response_atom",
    "render_to_response_openmetrics",
    "render_to_response_rss",
    "render_to_response_text",
)
"""What views for django-health-check 4.x override, and nobody calls here."""


def check_settings(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report settings that cannot be used (E001), are unknown (W001) or outdated (W002)."""
    unusable = _unusable(dict.fromkeys([*conf.problems(), *access.problems()]))
    unknown = [
        CheckWarning(text, hint="Correct its name, or take it out.", id="health_check.W001") for text in conf.unknown()
    ]
    return [*unusable, *unknown, *_outdated_settings()]


def check_store(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a store that cannot be used (E001), that shares nothing (W004), or whose place is no good (W005)."""
    try:
        store = create_store()
    except ImproperlyConfigured as error:
        return _unusable([text for text in [str(error)] if text not in conf.problems()])
    return [*_unshared(store), *_bad_place(store)]


def check_endpoints(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints of one name (E002), entries that are unusable (E003) or share a label (E004), and others.

    Odd methods of views are E006, checks used with different policies W003, fleet checks of readiness W006.
    """
    try:
        names = Counter(endpoint.url_name or endpoint.route for endpoint in walk(conf.settings.URLCONF))
        catalogue = process.current().catalogue
    except ImproperlyConfigured as error:
        return _unusable([text for text in [str(error)] if text not in conf.problems()])
    views = dict.fromkeys(endpoint.view_class for endpoint in catalogue.endpoints)
    return [
        *_equal_names(names),
        *_entry_problems(catalogue),
        *_foreign_methods(views),
        *_fleet_checks_of_readiness(catalogue),
    ]


def check_distributions(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report another distribution that installs a package ``health_check`` (E005)."""
    owners = set(importlib.metadata.packages_distributions().get("health_check", []))
    return [
        Error(
            f"{owner} is installed beside {DISTRIBUTION}: both bring the package health_check.",
            hint=f"Uninstall both, then install {DISTRIBUTION} again.",
            id="health_check.E005",
        )
        for owner in sorted(owners - {DISTRIBUTION})
    ]


ALL = (check_settings, check_store, check_endpoints, check_distributions)
"""What the app registers."""


def _unusable(texts: Iterable[str]) -> list[CheckMessage]:
    hint = "See the section on settings in the documentation."
    return [Error(text, hint=hint, id="health_check.E001") for text in texts]


def _unshared(store: Store) -> Iterable[CheckMessage]:
    if not store.reaches_others:
        yield CheckWarning(
            f"The store of the health checks is {store.describe()}, which no other process sees.",
            hint="Use a cache on Redis or Memcached, or leave HEALTH_CHECK['STORE'] out: its default is shared.",
            id="health_check.W004",
        )


def _bad_place(store: Store) -> Iterable[CheckMessage]:
    if trouble := store.trouble():
        yield CheckWarning(
            f"The store of the health checks cannot be used: {trouble}.",
            hint="Until then each process keeps its records in its own memory.",
            id="health_check.W005",
        )


def _outdated_settings() -> Iterable[CheckMessage]:
    configured = conf.configured_keys()
    for key, remedy in {**conf.LEGACY, **conf.REMOVED}.items():
        if key in configured:
            effect = "is deprecated" if key in conf.LEGACY else "has no effect"
            yield CheckWarning(f"HEALTH_CHECK[{key!r}] {effect}.", hint=f"Please {remedy}.", id="health_check.W002")


def _equal_names(names: Counter[str]) -> Iterable[CheckMessage]:
    for name, count in names.items():
        if count > 1:
            yield Error(
                f"{count} health endpoints have the URL name {name!r}.",
                hint="Give each path() a name of its own.",
                id="health_check.E002",
            )


def _foreign_methods(views: Iterable[type]) -> Iterable[CheckMessage]:
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


def _fleet_checks_of_readiness(catalogue: Catalogue) -> Iterable[CheckMessage]:
    assembly = catalogue.assembly
    for endpoint, members in assembly.members.items():
        if not READINESS.search(f"{endpoint.name} {endpoint.route}"):
            continue
        for member in members:
            if member.critical and assembly.definitions[member.label].scope == "fleet":
                yield CheckWarning(
                    f"Health endpoint {endpoint.name!r}: {member.label} has the scope 'fleet': "
                    "if it fails, all hosts are taken out of service at once.",
                    hint="Leave it out of readiness endpoints, or make it uncritical there: critical_service=False.",
                    id="health_check.W006",
                )


def _entry_problems(catalogue: Catalogue) -> Iterable[CheckMessage]:
    for problem in catalogue.assembly.problems:
        text = f"Health endpoint {problem.endpoint!r}: {problem.text}"
        if problem.kind == "policies":
            hint = "Use the same options wherever the check is used, or different names for different checks."
            yield CheckWarning(text, hint=hint, id="health_check.W003")
        else:
            number = "E003" if problem.kind == "unusable" else "E004"
            yield Error(text, hint="Until then it is shown as a failing check.", id=f"health_check.{number}")
