"""A URLconf with a language in front of its paths."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from health_check.views import HealthCheckView
from tests.support.checks import Fine

urlpatterns = i18n_patterns(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
