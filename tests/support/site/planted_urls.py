"""The URLs of a site that is asked anything."""

from django.urls import URLPattern, path

from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.support.site.planted import CHECKS, GUARDED, HERE, TOKEN, USER_TOKEN

GUARD = {"tokens": [TOKEN, USER_TOKEN], "networks": ["10.0.0.0/8"], "proxies": ["192.0.2.0/24"]}
FAILING = (f"{HERE}.Telling", {"name": GUARDED})
FRESH = {"max_age": 0, "name": "Run for each request"}

urlpatterns: list[URLPattern] = [
    path("health/", HealthCheckView.as_view(checks=CHECKS), name="health_check"),
    path("health/live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("fresh/", HealthCheckView.as_view(checks=[(f"{HERE}.Telling", FRESH)]), name="fresh"),
    path(
        "guarded/",
        HealthCheckView.as_view(checks=[FAILING], open=False, details="authorized", **GUARD),
        name="guarded",
    ),
    path("quiet/", HealthCheckView.as_view(checks=[FAILING], details="authorized", **GUARD), name="quiet"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("guarded-metrics", MetricsView.as_view(open=False, **GUARD), name="guarded-metrics"),
]
