"""The URLs of a site with readiness endpoints."""

import time

from django.http import HttpRequest, HttpResponse
from django.urls import path

from health_check.views import HealthCheckView
from tests.support.site.configuration import configured
from tests.support.site.urls import urlpatterns as others


def slow(request: HttpRequest) -> HttpResponse:
    """Answer after a while."""
    time.sleep(0.5)
    return HttpResponse("slow")


urlpatterns = [
    path("ready/", HealthCheckView.as_view(checks=configured().checks, readiness=True), name="ready"),
    path("up/", HealthCheckView.as_view(checks=[], readiness=True), name="up"),
    path("slow/", slow),
    *others,
]
