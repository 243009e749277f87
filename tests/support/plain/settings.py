"""The settings of the plain site: SQLite, local memory cache, a folder for files."""

import getpass
import os
import pathlib
import tempfile

FOLDER = pathlib.Path(
    os.environ.get("TEST_SITE_FOLDER") or f"{tempfile.gettempdir()}/health-check-tests-{getpass.getuser()}"
)
"""Where the site keeps its data; made by ``tests.support.plain.data.prepare``."""

SECRET_KEY = os.environ.get("TEST_SITE_SECRET_KEY") or f"no secret: the site of {FOLDER} signs nothing"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.support.plain.urls"
WSGI_APPLICATION = "tests.support.plain.wsgi.application"

INSTALLED_APPS = [
    "health_check",
    "health_check_prometheus",
    "health_check_opentelemetry",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db" / "plain.sqlite3"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": FOLDER / "media"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

HEALTH_CHECK = {
    "MAX_AGE": 5,
    "STORE": {
        "BACKEND": "health_check.stores.sqlite.SQLiteStore",
        "OPTIONS": {"path": FOLDER / "health.sqlite3"},
    },
}
