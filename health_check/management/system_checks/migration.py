"""The system checks for those who come from django-health-check: what is written otherwise here."""

from __future__ import annotations

import os
import pathlib
import re
import sysconfig
import warnings
from collections.abc import Iterator, Mapping

from django.apps import apps as installed_apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.template import engines
from django.template.backends.django import DjangoTemplates

from health_check import conf
from health_check.compat import apps as former
from health_check.compat import declarations
from health_check.conf import settings
from health_check.management.system_checks.messages import system_check, warning
from health_check.monitor import runtime
from health_check.registry import old_names
from health_check.registry.endpoints import DEFAULT_CHECKS, mounted_views
from health_check.registry.entries import describe
from health_check.registry.plugins import plugin_dir

BARE_NAMES = ("health_check_home", "health_check_live", "health_check_subset")
"""The views of ``health_check.urls``, without their namespace."""

QUOTED = re.compile(rf"'({'|'.join(BARE_NAMES)})'")
TAG = re.compile(rf"""\{{%\s*url\s+["']({"|".join(BARE_NAMES)})["']""")

HOOKS: Mapping[str, tuple[str, ...]] = {
    "health_check.backends.HealthCheck": ("get_result", "labels"),
    "health_check.checks.cache.Cache": ("cache_key",),
    "health_check.checks.migrations.Migrations": ("get_migration_plan",),
    "health_check.contrib.celery.Ping": (
        *("CORRECT_PING_RESPONSE", "active_workers", "_check_ping_result", "_check_active_queues"),
    ),
}
"""What subclasses of checks override for django-health-check, and nobody calls here."""


@system_check()
def check_former() -> Iterator[CheckMessage]:
    """Report apps and registered checks of django-health-check 3.x, and which endpoints have them (W014)."""
    apps = former.installed()
    for app in apps:
        yield warning("W014", former.problem_of(app), former.remedy_of(app))
    registered = [entry for entry in plugin_dir.entries or () if not any(entry in app.entries() for app in apps)]
    for path in dict.fromkeys(map(describe, registered)):
        problem = f"{path} is added with plugin_dir.register(), as in django-health-check 3.x."
        yield warning("W014", problem, "Name it in the `checks` of a HealthCheckView.")
    if apps and not installed_apps.is_installed("health_check"):
        problem = "INSTALLED_APPS has apps of django-health-check 3.x, but not health_check: there are no commands."
        yield warning("W014", problem, "Add health_check.")
    if plugin_dir.entries is not None:
        yield from _endpoints_with_registered_checks()


def _endpoints_with_registered_checks() -> Iterator[CheckMessage]:
    """Tell of endpoints that have the registered checks, and what they would be without them."""
    members = runtime.get().catalogue.check_set.members
    found = {one: members[one] for one in members if one.option("checks") is plugin_dir.entries}
    if not found:
        return
    labels = [member.label for member in next(iter(found.values()))]
    defaults = [path.rpartition(".")[2] for path in DEFAULT_CHECKS]
    gained = ", ".join(name for name in defaults if name not in labels) or "nothing"
    lost = ", ".join(label for label in labels if label not in defaults) or "none of these"
    had, names = ", ".join(labels) or "none", ", ".join(repr(endpoint.name) for endpoint in found)
    yield warning(
        "W014",
        f"These health endpoints have the checks that were registered, {had}: {names}.",
        f"Mount there HealthCheckView.as_view(checks={declarations.written(plugin_dir.entries or ())}). Else, once the "
        f"site registers none, they have the default checks, which lack {lost}, and add {gained}.",
    )


@system_check()
def check_subsets() -> Iterator[CheckMessage]:
    """Report names in subsets that no check has (W041)."""
    definitions = runtime.get().catalogue.check_set.definitions.values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # check_settings reports that
        subsets = conf.subsets()
    labels = ", ".join(definition.label for definition in definitions) or "none"
    known = frozenset(name for d in definitions for name in old_names.names_of(d.label, d.prototype))
    for subset, names in subsets.items():
        for name in sorted(names - known):
            text = f"HEALTH_CHECK['SUBSETS'][{subset!r}] names {name!r}, but no check has that name."
            yield warning("W041", text, f"Until then the subset goes without it. There are: {labels}.")


@system_check()
def check_names() -> Iterator[CheckMessage]:
    """Report settings and templates that name our views without their namespace (W015)."""
    there = {view.name for view in mounted_views(settings.URLCONF)}
    for place, name in dict.fromkeys((*_named_in_settings(), *_named_in_templates())):
        if name not in there:
            text = f"{place} names the view {name!r}, which is called 'health_check:{name}'."
            hint = f"Write 'health_check:{name}', or your namespace of include(\"health_check.urls\") before it."
            yield warning("W015", text, hint)


def _named_in_settings() -> Iterator[tuple[str, str]]:
    for setting in filter(str.isupper, dir(django_settings)):
        try:
            written = repr(getattr(django_settings, setting))
        except Exception:  # an empty SECRET_KEY, or an object that cannot be printed
            written = ""
        yield from ((f"The setting {setting}", name) for name in QUOTED.findall(written))


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


@system_check()
def check_hooks() -> Iterator[CheckMessage]:
    """Report methods of checks that are not called here (W020)."""
    hint = "Override check_status() to change what is checked, __repr__() or `name` to change the label."
    definitions = runtime.get().catalogue.check_set.definitions.values()
    for check_class in dict.fromkeys(definition.check_class for definition in definitions):
        for hook in _unused_hooks(check_class):
            text = f"{check_class.__module__}.{check_class.__qualname__}.{hook} is not used here."
            yield warning("W020", text, hint)


def _unused_hooks(check_class: type) -> list[str]:
    bases = check_class.__mro__
    hooks = {hook: base for base in bases for hook in HOOKS.get(f"{base.__module__}.{base.__qualname__}", ())}
    return [hook for hook, base in hooks.items() if any(hook in vars(own) for own in bases[: bases.index(base)])]
