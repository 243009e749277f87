"""The settings of a site with readiness endpoints."""

from tests.support.site.settings import *  # noqa: F403 - a site that derives from another's settings

ROOT_URLCONF = "tests.support.site.readiness_urls"
