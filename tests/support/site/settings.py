"""The settings of the site that tests start under real servers: the plain site's, but for what a test says."""

import os
import secrets

from tests.support.plain import settings as plain
from tests.support.plain.settings import *  # noqa: F403 - a site that derives from another's settings
from tests.support.site.configuration import configured

SITE = configured()

ROOT_URLCONF = "tests.support.site.urls"
MIDDLEWARE = ["tests.support.site.views.name_process", *plain.MIDDLEWARE]
CACHES = {**(SITE.caches or plain.CACHES)}
HEALTH_CHECK = {"MAX_AGE": SITE.max_age, **SITE.health_check}
globals().update(SITE.settings)
INSTALLED_APPS = [*plain.INSTALLED_APPS, *SITE.settings.get("INSTALLED_APPS", ())]

if SITE.random_settings:
    SECRET_KEY = secrets.token_urlsafe()
    CACHES = {"default": {**CACHES["default"], "KEY_PREFIX": SECRET_KEY, "TIMEOUT": str(os.getpid())}}
    DATABASES = {"default": {**plain.DATABASES["default"], "OPTIONS": {"init_command": f"-- {os.getpid()}"}}}
    LOGGING_CONFIG = None
    ADMINS = [(SECRET_KEY, f"{os.getpid()}@shop.example")]
