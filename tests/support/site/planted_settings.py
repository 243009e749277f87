"""The settings of a site that is asked anything, with secrets in all of them."""

import os
from typing import Any

from tests.support.site.planted import DSN, SECRET, TOKEN

SECRET_KEY = f"{SECRET}-key"
SECRET_KEY_FALLBACKS = [f"{SECRET}-old-key"]
EMAIL_HOST_PASSWORD = f"{SECRET}-mail"
DATABASE_URL = DSN
ROOT_URLCONF = "tests.support.site.planted_urls"
USE_TZ = True
INSTALLED_APPS = ["health_check", "health_check_prometheus", "health_check_opentelemetry"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "planted": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": f"{SECRET}-database",
        "HOST": "127.0.0.1",
        "PORT": 1,
    },
}
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "planted": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"redis://shop:{SECRET}-cache@127.0.0.1:1/0",
    },
}
HEALTH_CHECK: dict[str, Any] = {
    "MAX_AGE": 3600,
    "MAX_CONCURRENCY": 4,
    "STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"},
    "ACCESS": {"TOKENS": [TOKEN]},
}
FORWARDING: dict[str, Any] = {
    "USE_X_FORWARDED_HOST": True,
    "USE_X_FORWARDED_PORT": True,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
}
OTHERS = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "tests.support.site.middleware.users",
]
FIRST = "health_check.middleware.HealthCheckMiddleware"
SITES: dict[str, dict[str, Any]] = {
    "plain": {"MIDDLEWARE": OTHERS, "ALLOWED_HOSTS": ["*"]},
    "first": {
        "MIDDLEWARE": [FIRST, *OTHERS],
        "ALLOWED_HOSTS": ["shop.example"],
        "SECURE_SSL_REDIRECT": True,
        "HEALTH_CHECK": {**HEALTH_CHECK, "EARLY_METRICS": True},
    },
}
"""Sites where our middleware is not there, and where nobody gets through without it."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
}
globals().update({**FORWARDING, **SITES[os.environ.get("TEST_SITE_KIND", "plain")]})
