"""The URLs of the site on the databases of a test: those of any site, and views that use them."""

from django.urls import include, path

from tests.support.site import database_views as views

urlpatterns = [
    path("backend/<alias>/", views.backend),
    path("holding/<alias>/", views.holding),
    path("pool/<alias>/", views.pool),
    path("", include("tests.support.site.urls")),
]
