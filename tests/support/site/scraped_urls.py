"""The URLs of a site that Prometheus scrapes: the tests' own, and metrics in text for who would take OpenMetrics."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path

from health_check_prometheus.views import MetricsView
from tests.support.site import tracing
from tests.support.site.urls import urlpatterns as test_patterns

metrics = MetricsView.as_view()


def text_metrics(request: HttpRequest) -> HttpResponseBase:
    """Answer as if nothing but text were accepted."""
    request.META["HTTP_ACCEPT"] = "text/plain;version=0.0.4"
    return metrics(request)


urlpatterns = [path("text-metrics", text_metrics), *test_patterns]

tracing.set_up()
