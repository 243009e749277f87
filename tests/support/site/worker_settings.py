"""The settings of a Celery worker's process."""

import os

SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = ["health_check"]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["TEST_SITE_CACHE"],
    }
}
