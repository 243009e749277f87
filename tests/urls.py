"""The URLs of the test suite's own process."""

from django.urls import include, path

from health_check.views import HealthCheckView

urlpatterns = [
    path("health/", HealthCheckView.as_view(), name="health_check"),
    path("live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("", include("health_check_prometheus.urls")),
]
