"""The URLs of the plain site."""

from django.urls import include, path

from health_check.registry.endpoints import DEFAULT_CHECKS
from health_check.views import HealthCheckView

urlpatterns = [
    path(
        "health/",
        HealthCheckView.as_view(checks=[*DEFAULT_CHECKS, "tests.support.plain.checks.PriceList"]),
        name="health_check",
    ),
    path("health/live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("", include("health_check_prometheus.urls")),
]
