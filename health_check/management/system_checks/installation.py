"""The system checks of what is installed."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from health_check import extensions
from health_check.views.urlconfs import choosers_after

DISTRIBUTION = "django-health-exporter"

PACKAGE = pathlib.Path(__file__).parents[2]
"""Where this package is."""


def check_distributions(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report another distribution that installs a package ``health_check`` (W019)."""
    owners = {owner for owner in importlib.metadata.packages_distributions().get("health_check", []) if owner}
    return [
        CheckWarning(
            f"{owner} is installed beside {DISTRIBUTION}: both bring the package health_check.",
            hint=f"Uninstall both, then install {DISTRIBUTION} again.",
            id="health_check.W019",
        )
        for owner in sorted(owners - {DISTRIBUTION})
    ]


def check_exporters(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report exporters that could not be loaded (W024)."""
    return [
        CheckWarning(
            f"The exporter {name!r} could not be loaded: {reason}",
            hint="Correct HEALTH_CHECK['EXPORTERS'] (default ['prometheus']; [] loads none), or install what it needs.",
            id="health_check.W024",
        )
        for name, reason in extensions.failed_exporters().items()
    ]


def check_shadows(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report other packages ``health_check`` that can be imported in another order of the path (W013)."""
    return [
        CheckWarning(
            f"There is another package health_check at {place}, hidden by the one at {PACKAGE}.",
            hint="Rename it if it is the project's own, else uninstall what brings it.",
            id="health_check.W013",
        )
        for place in _other_places()
    ]


def check_middleware(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a HealthCheckMiddleware before one that chooses the URLconf (W040), or after one that refuses (W042)."""
    ours = "health_check.middleware.HealthCheckMiddleware"
    if ours not in settings.MIDDLEWARE:
        return []
    before = settings.MIDDLEWARE[: settings.MIDDLEWARE.index(ours)]
    messages: list[CheckMessage] = [
        CheckWarning(
            f"HealthCheckMiddleware stands after {path}, which refuses or redirects probes.",
            hint="Put it first, or right after a middleware that chooses the URLconf.",
            id="health_check.W042",
        )
        for path, refuses in REFUSING.items()
        if path in before and refuses()
    ]
    messages += [
        CheckWarning(
            f"HealthCheckMiddleware stands before {path}, which chooses the URLconf: it answers nothing.",
            hint="Put it right after that one, so that it answers no path of another host.",
            id="health_check.W040",
        )
        for path in choosers_after(import_string(ours))
    ]
    return messages


REFUSING: Mapping[str, Callable[[], bool]] = {
    "django.middleware.security.SecurityMiddleware": lambda: settings.SECURE_SSL_REDIRECT,
    "django.middleware.common.CommonMiddleware": lambda: True,
}
"""Middleware of Django's that answers 400 or 301 to probes by address or without TLS, and whether it does."""


def _other_places() -> list[str]:
    places = dict[str, None]()
    for entry in sys.path:
        spec = importlib.machinery.PathFinder.find_spec("health_check", [entry])
        if spec is not None and spec.origin is not None:  # a folder without __init__.py is imported last of all
            place = pathlib.Path(spec.origin)
            places[str(place.parent if place.name == "__init__.py" else place)] = None
    return [place for place in places if os.path.realpath(place) != os.path.realpath(PACKAGE)]
