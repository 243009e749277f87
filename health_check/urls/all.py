"""All endpoints and pages: ``path("", include("health_check.urls.all"))``.

That is ``health/``, ``health/live/``, ``health/ready/``, and the pages of the exporters that
``HEALTH_CHECK["EXPORTERS"]`` names: ``metrics``, by default.
"""

from django.urls import include, path

from health_check import extensions, urls
from health_check.views.registered import ReadinessView

app_name = "health_check"

extensions.load_exporters()  # where an app imports the URLconf before ours is ready

urlpatterns = [
    path("health/", include(urls.urlpatterns)),
    path("health/ready/", ReadinessView.as_view(), name="health_check_ready"),
    *(
        path(address.removeprefix("/"), page, name=f"health_check_{address.strip('/')}")
        for address, page in extensions.pages.items()
    ),
]
