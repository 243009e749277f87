"""The system check of routes that are there twice, of which Django serves the first alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check import extensions
from health_check.conf import settings
from health_check.registry.endpoints import MountedView, endpoint_at, mounted_views


def check_routes(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report routes that one of our views and a view of the site have both (W025)."""
    try:
        views = list(mounted_views(settings.URLCONF))
    except ImproperlyConfigured:  # check_endpoints says so
        return []
    first: dict[str, MountedView] = {}
    messages: list[CheckMessage] = []
    for view in views:
        route = view.route.strip("^$")
        other = first.setdefault(route, view)
        if other is not view and _is_ours(other) is not _is_ours(view):
            messages.append(
                CheckWarning(
                    f"The route {route!r} is there twice: {_described(other)} is served, and hides {_described(view)}.",
                    hint="Mount one of them at another path, as in path('health/', include('health_check.urls')).",
                    id="health_check.W025",
                )
            )
    return messages


def _is_ours(view: MountedView) -> bool:
    is_endpoint = endpoint_at(view.callback, name=view.name, route=view.route) is not None
    return is_endpoint or view.callback in extensions.pages().values()


def _described(view: MountedView) -> str:
    inner = getattr(view.callback, "view_class", view.callback)
    return f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
