"""The settings of a site with readiness endpoints."""

from tests.site.settings import *  # noqa: F403 - a site that derives from another's settings

ROOT_URLCONF = "tests.site.readiness_urls"
