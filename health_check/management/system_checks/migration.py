"""The system checks for those who come from django-health-check: what is written otherwise here."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import sysconfig
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps as installed_apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.urls import NoReverseMatch, reverse

from health_check import conf
from health_check.compat import apps as former
from health_check.compat import declarations
from health_check.conf import settings
from health_check.management.system_checks.endpoints import current_catalogue
from health_check.registry import old_names
from health_check.registry.endpoints import DEFAULT_CHECKS
from health_check.registry.entries import describe
from health_check.registry.plugins import plugin_dir

BARE_NAMES = ("health_check_home", "health_check_live", "health_check_subset")
"""The views of ``health_check.urls``, without their namespace."""

TAG = re.compile(rf"""\{{%\s*url\s+["']({"|".join(BARE_NAMES)})["']""")


def check_former(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report apps and registered checks of django-health-check 3.x, and which endpoints have them (W014)."""
    apps = former.installed()
    registered = [entry for entry in plugin_dir.entries or () if not any(entry in app.entries() for app in apps)]
    found = {former.problem_of(app): former.remedy_of(app) for app in apps}
    for entry in registered:
        problem = f"{describe(entry)} is added with plugin_dir.register(), as in django-health-check 3.x."
        found[problem] = "Name it in the `checks` of a HealthCheckView."
    if apps and not installed_apps.is_installed("health_check"):
        problem = "INSTALLED_APPS has apps of django-health-check 3.x, but not health_check: there are no commands."
        found[problem] = "Add health_check."
    found.update(_endpoints_with_registered_checks())
    return [CheckWarning(problem, hint=hint, id="health_check.W014") for problem, hint in found.items()]


def _endpoints_with_registered_checks() -> Iterator[tuple[str, str]]:
    """Yield what is said of endpoints that have the registered checks, and what they would be without them."""
    catalogue = current_catalogue() if plugin_dir.entries is not None else None
    members = catalogue.check_set.members if catalogue is not None else {}
    found = {one: members[one] for one in members if one.option("checks") is plugin_dir.entries}
    if not found:
        return
    labels = [member.label for member in next(iter(found.values()))]
    defaults = [path.rpartition(".")[2] for path in DEFAULT_CHECKS]
    gained = ", ".join(name for name in defaults if name not in labels) or "nothing"
    lost = ", ".join(label for label in labels if label not in defaults) or "none of these"
    names = ", ".join(repr(endpoint.name) for endpoint in found)
    hint = (
        f"Mount there HealthCheckView.as_view(checks={declarations.written(plugin_dir.entries or ())}). Else, once the "
        f"site registers none, they have the default checks, which lack {lost}, and add {gained}."
    )
    had = ", ".join(labels) or "none"
    yield f"These health endpoints have the checks that were registered, {had}: {names}.", hint


def check_subsets(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report names in subsets that no check has (W041)."""
    catalogue = current_catalogue()
    if catalogue is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # check_settings reports that
            subsets = conf.subsets()
    except ImproperlyConfigured:  # check_settings says so
        return []
    definitions = catalogue.check_set.definitions.values()
    labels = ", ".join(definition.label for definition in definitions) or "none"
    known = frozenset(name for d in definitions for name in old_names.names_of(d.label, d.prototype))
    return [
        CheckWarning(
            f"HEALTH_CHECK['SUBSETS'][{subset!r}] names {name!r}, but no check has that name.",
            hint=f"Until then the subset goes without it. There are: {labels}.",
            id="health_check.W041",
        )
        for subset, names in subsets.items()
        for name in sorted(names - known)
    ]


def check_names(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report settings and templates that name our views without their namespace (W015)."""
    bare = [name for name in BARE_NAMES if not _is_a_name(name)]
    found = [(place, name) for place, name in (*_named_in_settings(), *_named_in_templates()) if name in bare]
    return [
        CheckWarning(
            f"{place} names the view {name!r}, which is called 'health_check:{name}'.",
            hint=f"Write 'health_check:{name}', or your namespace of include(\"health_check.urls\") before it.",
            id="health_check.W015",
        )
        for place, name in dict.fromkeys(found)
    ]


HOOKS: Mapping[str, tuple[str, ...]] = {
    "health_check.backends.HealthCheck": ("get_result", "labels"),
    "health_check.checks.cache.Cache": ("cache_key",),
    "health_check.checks.migrations.Migrations": ("get_migration_plan",),
    "health_check.contrib.celery.Ping": (
        *("CORRECT_PING_RESPONSE", "active_workers", "_check_ping_result", "_check_active_queues"),
    ),
}
"""What subclasses of checks override for django-health-check, and nobody calls here."""


def check_hooks(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report methods of checks that are not called here (W020)."""
    catalogue = current_catalogue()
    classes = dict.fromkeys(d.check_class for d in catalogue.check_set.definitions.values()) if catalogue else ()
    return [
        CheckWarning(
            f"{check_class.__module__}.{check_class.__qualname__}.{hook} is not used here.",
            hint="Override check_status() to change what is checked, __repr__() or `name` to change the label.",
            id="health_check.W020",
        )
        for check_class in classes
        for hook in _unused_hooks(check_class)
    ]


def _unused_hooks(check_class: type) -> list[str]:
    bases = check_class.__mro__
    hooks = {hook: base for base in bases for hook in HOOKS.get(f"{base.__module__}.{base.__qualname__}", ())}
    return [hook for hook, base in hooks.items() if any(hook in vars(own) for own in bases[: bases.index(base)])]


def _is_a_name(name: str) -> bool:
    """Return whether a view of the site has the name; a URLconf that cannot be imported is reported elsewhere."""
    try:
        reverse(name, urlconf=settings.URLCONF)
    except NoReverseMatch:
        return False
    except Exception:
        return True
    return True


def _named_in_settings() -> Iterator[tuple[str, str]]:
    for setting in dir(django_settings):
        if setting.isupper():
            with contextlib.suppress(ImproperlyConfigured):  # a SECRET_KEY that is empty
                value = getattr(django_settings, setting)
                yield from ((f"The setting {setting}", name) for name in _strings(value))


def _strings(value: object, depth: int = 4) -> Iterator[str]:
    """Yield the strings in a setting, as deep as settings are nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from (*_strings(key, depth - 1), *_strings(inner, depth - 1))
    elif isinstance(value, list | tuple | set | frozenset) and depth:
        for inner in value:
            yield from _strings(inner, depth - 1)


def _named_in_templates() -> Iterator[tuple[str, str]]:
    for folder in _template_folders():
        for place, _, names in os.walk(folder):
            for path in (pathlib.Path(place) / name for name in names):
                try:
                    text = path.read_text(errors="replace")
                except OSError:
                    continue
                yield from ((f"The template {path}", name) for name in TAG.findall(text))


def _template_folders() -> Iterator[pathlib.Path]:
    """Yield the site's own folders of templates; not those of installed packages."""
    installed = tuple({os.path.realpath(path) for path in sysconfig.get_paths().values()})
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            for folder in engine.template_dirs:
                if not os.path.realpath(folder).startswith(installed):
                    yield pathlib.Path(folder)
