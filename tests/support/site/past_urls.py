"""The URLs of a site with a made-up past."""

import os

from django.urls import include, path

from health_check.views import HealthCheckView
from tests.support.site.past import checks

urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=checks(int(os.environ.get("PAST_CHECKS", "9")))), name="health"),
    path("fine/", HealthCheckView.as_view(checks=checks(9)[1:3]), name="fine"),
    path("states/", HealthCheckView.as_view(checks=checks(9), details="never"), name="states"),
    path("ready/", HealthCheckView.as_view(checks=checks(9)[1:2], readiness=True), name="ready"),
    path("live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("", include("health_check_prometheus.urls")),
]
