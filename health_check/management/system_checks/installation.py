"""The system checks of what is installed."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping

from django.conf import settings
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from health_check import extensions
from health_check.management.system_checks.messages import system_check, warning
from health_check.views.urlconfs import choosers_after

DISTRIBUTION = "django-health-exporter"

PACKAGE = pathlib.Path(__file__).parents[2]
"""Where this package is."""

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"

REFUSING: Mapping[str, Callable[[], bool]] = {
    "django.middleware.security.SecurityMiddleware": lambda: settings.SECURE_SSL_REDIRECT,
    "django.middleware.common.CommonMiddleware": lambda: True,
}
"""Middleware of Django's that answers 400 or 301 to probes by address or without TLS, and whether it does."""


@system_check()
def check_distributions() -> Iterator[CheckMessage]:
    """Report another distribution that installs a package ``health_check`` (W019)."""
    owners = {owner for owner in importlib.metadata.packages_distributions().get("health_check", []) if owner}
    for owner in sorted(owners - {DISTRIBUTION}):
        text = f"{owner} is installed beside {DISTRIBUTION}: both bring the package health_check."
        yield warning("W019", text, f"Uninstall both, then install {DISTRIBUTION} again.")


@system_check()
def check_exporters() -> Iterator[CheckMessage]:
    """Report exporters that could not be loaded (W024)."""
    hint = "Correct HEALTH_CHECK['EXPORTERS'] (default ['prometheus']; [] loads none), or install what it needs."
    for name, reason in extensions.failed_exporters.items():
        yield warning("W024", f"The exporter {name!r} could not be loaded: {reason}", hint)


@system_check()
def check_shadows() -> Iterator[CheckMessage]:
    """Report other packages ``health_check`` that can be imported in another order of the path (W013)."""
    places = dict[str, None]()
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("health_check", [entry])
        if spec is not None and spec.origin is not None:  # a folder without __init__.py is imported last of all
            place = pathlib.Path(spec.origin)
            places[str(place.parent if place.name == "__init__.py" else place)] = None
    for other in places:
        if os.path.realpath(other) != os.path.realpath(PACKAGE):
            text = f"There is another package health_check at {other}, hidden by the one at {PACKAGE}."
            yield warning("W013", text, "Rename it if it is the project's own, else uninstall what brings it.")


@system_check()
def check_middleware() -> Iterator[CheckMessage]:
    """Report a HealthCheckMiddleware before one that chooses the URLconf (W040), or after one that refuses (W042)."""
    if MIDDLEWARE not in settings.MIDDLEWARE:
        return
    before = settings.MIDDLEWARE[: settings.MIDDLEWARE.index(MIDDLEWARE)]
    for path, refuses in REFUSING.items():
        if path in before and refuses():
            text = f"HealthCheckMiddleware stands after {path}, which refuses or redirects probes."
            yield warning("W042", text, "Put it first, or right after a middleware that chooses the URLconf.")
    for path in choosers_after(import_string(MIDDLEWARE)):
        text = f"HealthCheckMiddleware stands before {path}, which chooses the URLconf: it answers nothing."
        yield warning("W040", text, "Put it right after that one, so that it answers no path of another host.")
