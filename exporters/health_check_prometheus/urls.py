"""The metrics page: ``path("", include("health_check_prometheus.urls"))`` mounts it at ``metrics``."""

from django.urls import path

from health_check_prometheus.views import MetricsView

urlpatterns = [path("metrics", MetricsView.as_view(), name="health_check_metrics")]
