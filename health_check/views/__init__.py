"""The views: health endpoints as HTML, JSON, text and feeds, and who may see them."""

import warnings
from typing import Any

from health_check.views.health import HealthCheckView
from health_check.views.registered import RegisteredView

__all__ = ["HealthCheckView"]


def __getattr__(name: str) -> Any:
    if name == "MainView":
        warnings.warn(
            "health_check.views.MainView is deprecated: use health_check.views.HealthCheckView.",
            DeprecationWarning,
            stacklevel=2,
        )
        return RegisteredView
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
