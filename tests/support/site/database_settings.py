"""The settings of a site on the databases that a test says."""

import json
import os

from tests.support.site.settings import *  # noqa: F403 - a site that derives from another's settings

DATABASES = json.loads(os.environ["TEST_SITE_DATABASES"])
DATABASE_ROUTERS = os.environ.get("TEST_SITE_ROUTERS", "").split()
ROOT_URLCONF = "tests.support.site.database_urls"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"health_check": {"handlers": ["console"], "level": "INFO"}},
}
