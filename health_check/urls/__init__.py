"""The usual endpoints: ``path("health/", include("health_check.urls"))`` mounts both.

They are named ``health_check:health_check_home``, as in django-health-check 3.x, and
``health_check:health_check_live``; ``include(…, namespace="x")`` puts another namespace in place of ``health_check``.
While ``HEALTH_CHECK["SUBSETS"]`` is set, each subset is below the first, as in 3.x, in place of a ``live`` of ours.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path

from health_check import conf
from health_check.views import HealthCheckView
from health_check.views.registered import RegisteredView

app_name = "health_check"


def _patterns() -> list[URLPattern]:
    home = path("", RegisteredView.as_view(), name="health_check_home")
    live = path("live/", HealthCheckView.as_view(checks=[]), name="health_check_live")
    subset = path("<str:subset>/", RegisteredView.as_view(), name="health_check_subset")
    try:
        subsets = conf.subsets()
    except ImproperlyConfigured:  # the endpoint and a system check say so
        return [home, live]
    return [home, *([] if "live" in subsets else [live]), *([subset] if subsets else [])]


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":  # as the settings have it whenever a URLconf is loaded
        return _patterns()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
