"""The URLs of the demo site."""

from django.urls import include, path

from health_check.demo.settings import HOST
from health_check.demo.views import HomeView, RoundView, webhook
from health_check.views import HealthCheckView

CHECKS = [
    "Database",
    "Cache",
    "Storage",
    "health_check.demo.checks.Orders",
    "health_check.demo.checks.Payments",
    "health_check.demo.checks.Search",
    "health_check.demo.checks.PriceList",
    "health_check.demo.checks.Uploads",
]
READY = {"checks": ["Database"], "readiness": True, "error_status_code": 503}

urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=CHECKS), name="health_check"),
    path("health/live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("health/ready/", HealthCheckView.as_view(**READY), name="ready"),
    path("", include("health_check_prometheus.urls")),
]

if HOST == "web-1":
    urlpatterns += [
        path("", HomeView.as_view(), name="home"),
        path("round/", RoundView.as_view(), name="round"),
        path("alertmanager/", webhook, name="webhook"),
    ]
