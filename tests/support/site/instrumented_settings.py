"""The settings of a site that django-prometheus instruments, too: requests, database and cache."""

from tests.support.site import settings as site
from tests.support.site.settings import *  # noqa: F403 - a site that derives from another's settings

INSTALLED_APPS = ["django_prometheus", *site.INSTALLED_APPS]
ROOT_URLCONF = "tests.support.site.instrumented_urls"
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    *site.MIDDLEWARE,
    "django.middleware.gzip.GZipMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
CACHES = {"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}}
DATABASES = {"default": {**site.DATABASES["default"], "ENGINE": "django_prometheus.db.backends.sqlite3"}}
