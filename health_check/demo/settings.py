"""The settings of the demo site: SQLite, a cache in it that two hosts share, a folder for files."""

import os
import pathlib
import tempfile

from health_check.stores.sqlite_file import user

FOLDER = pathlib.Path(
    os.environ.get("HEALTH_CHECK_DEMO_FOLDER") or f"{tempfile.gettempdir()}/health-check-demo-{user()}"
)
"""Where the site keeps its data; made by ``health_check.demo.data.prepare``."""

HOST = os.environ.get("HEALTH_CHECK_DEMO_HOST") or "web-1"
"""The host that this process plays: ``web-1``, which has the levers, or ``web-2``."""

SECRET_KEY = os.environ.get("HEALTH_CHECK_DEMO_SECRET_KEY") or f"no secret: the demo of {FOLDER} signs nothing"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "health_check.demo.urls"
WSGI_APPLICATION = "health_check.demo.wsgi.application"
X_FRAME_OPTIONS = "SAMEORIGIN"  # the home page shows the status page in a frame

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
        "DIRS": [pathlib.Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db" / "demo.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF", "transaction_mode": "IMMEDIATE"},
    }
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "records": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "records",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": FOLDER / "media"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "filters": {
        "unprinted": {  # the terminal has a line of its own for a change of state
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: record.module != "state_changes",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "filters": ["unprinted"]}},
    "loggers": {"health_check": {"handlers": ["stderr"], "propagate": False}},
}

HEALTH_CHECK = {
    "SITE": "shop",
    "MAX_AGE": 3,
    "SCHEDULER": True,
    "STORE": {
        "BACKEND": "health_check.stores.cache.DjangoCacheStore",
        "OPTIONS": {"alias": "records", "host": HOST},
    },
}
