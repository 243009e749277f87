"""The usual endpoints: ``path("health/", include("health_check.urls"))`` mounts both.

They are named ``health_check_home`` and ``health_check_live``, and, as in django-health-check 3.x, also
``health_check:health_check_home``.
"""

from django.urls import include, path

from health_check.views import HealthCheckView

_endpoints = [
    path("", HealthCheckView.as_view(), name="health_check_home"),
    path("live/", HealthCheckView.as_view(checks=[]), name="health_check_live"),
]

urlpatterns = [*_endpoints, path("", include((_endpoints, "health_check")))]
