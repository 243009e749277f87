"""The usual endpoints: ``path("health/", include("health_check.urls"))`` mounts both.

They are named ``health_check:health_check_home``, as in django-health-check 3.x, and
``health_check:health_check_live``;
``include(…, namespace="x")`` puts another namespace in place of ``health_check``.
"""

from django.urls import path

from health_check.views import HealthCheckView
from health_check.views.registered import RegisteredView

app_name = "health_check"

urlpatterns = [
    path("", RegisteredView.as_view(), name="health_check_home"),
    path("live/", HealthCheckView.as_view(checks=[]), name="health_check_live"),
]
