"""The settings of a site that refuses most requests, with or without the middleware that lets probes through."""

import os

from tests.support.site.settings import *  # noqa: F403 - a site that derives from another's settings
from tests.support.site.settings import MIDDLEWARE as OTHERS

ALLOWED_HOSTS = ["shop.example"]
SECURE_SSL_REDIRECT = True
FIRST = os.environ["TEST_SITE_FIRST"].split()
MIDDLEWARE = [
    *FIRST,
    "django.middleware.security.SecurityMiddleware",
    "tests.support.site.middleware.touches_host",
    *OTHERS,
]
