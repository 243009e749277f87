"""The URLs of a site that django-prometheus instruments: the tests' own, and django-prometheus' metrics page."""

from django.urls import include, path

from tests.support.site.urls import urlpatterns as test_patterns

urlpatterns = [path("theirs/", include("django_prometheus.urls")), *test_patterns]
