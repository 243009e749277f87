"""The URLs of the site that tests start: the plain site's, with the checks of a test, and views to look inside."""

from django.urls import URLPattern, URLResolver, include, path

from health_check.views import HealthCheckView
from tests.support.plain.urls import urlpatterns as plain_patterns
from tests.support.site import views
from tests.support.site.configuration import configured

plain_but_health = [
    pattern
    for pattern in plain_patterns
    if isinstance(pattern, URLResolver) or (isinstance(pattern, URLPattern) and pattern.name != "health_check")
]

urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=configured().checks), name="health_check"),
    path("others/", HealthCheckView.as_view(checks=configured().others), name="others"),
    path("gather/", views.gather),
    path("plain/", views.plain),
    path("past/", views.past),
    path("compute/", views.compute),
    path("orm/", views.orm),
    path("on-loop/", views.on_loop),
    path("", include(plain_but_health)),
]

if configured().spans:
    from tests.support.site import tracing  # the SDK, which takes a while to import

    tracing.exporter()
    urlpatterns.append(path("spans/", tracing.spans))
